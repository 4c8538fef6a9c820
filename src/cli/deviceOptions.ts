/** Options that commands share which run networks of their caller's choice on a device. */

import { Option } from 'commander'

/** `--dtype`. */
export function dtypeOption(): Option {
  const description = "type of activations and matrices (default: the device's best)"
  return new Option('--dtype <type>', description).choices(['f32', 'bf16', 'f16'])
}

/** `--instructions`. */
export function instructionsOption(): Option {
  const sets = ['auto', 'portable', 'avx2', 'avx512', 'amx']
  return new Option('--instructions <set>', 'kernels of the cpu device').choices(sets)
}
