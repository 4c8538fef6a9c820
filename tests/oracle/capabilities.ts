/** A device that can do everything, for tests of the compiler. */

import type { Capabilities } from '../../src/compile/capabilities'
import { KERNELS, type KernelName } from '../../src/compile/kernels'

export const ORACLE: Capabilities = {
  backend: 'oracle',
  arithmetic: 'scalar',
  dtypes: ['f32', 'bf16', 'f16'],
  preferredDtype: 'f32',
  kernels: Object.keys(KERNELS) as KernelName[],
  attentionKeyBlock: 64,
  winogradTiles: [],
  winogradDtypes: [],
  strassenDtypes: [],
  upsampledConv2d: false,
  widenedDtypes: [],
  int8Products: [],
  int8Sums: 32,
}
