/** Options that commands share which run networks of their caller's choice on a device. */

import { Option } from 'commander'
import { INSTRUCTIONS } from '../bindings/device'
import { QUANTIZATIONS } from '../compile/passes/quantize'

/** `--dtype`. */
export function dtypeOption(): Option {
  const description = "type of activations and matrices (default: the device's best)"
  return new Option('--dtype <type>', description).choices(['f32', 'bf16', 'f16'])
}

/** `--quantize`. */
export function quantizeOption(
  description = 'products over int8, or only weights of fewer bits (default: none)',
): Option {
  return new Option('--quantize <how>', description).choices(QUANTIZATIONS)
}

/** `--instructions`. */
export function instructionsOption(): Option {
  return new Option('--instructions <set>', 'kernels of the cpu device').choices(INSTRUCTIONS)
}
