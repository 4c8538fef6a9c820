/** What a backend can do, as data: passes ask this, never a device. */

import type { DType } from '../tensor/dtype'
import type { KernelName } from './kernels'

export interface Capabilities {
  /** `cpu`, `reference`. */
  readonly backend: string
  /** Arithmetic class that decides the bits: `portable`, `avx2`, `avx512`, `amx`, `scalar`. */
  readonly arithmetic: string
  /** Storage types activations and weights may have. */
  readonly dtypes: readonly DType[]
  /** The type `auto` picks. */
  readonly preferredDtype: DType
  readonly kernels: readonly KernelName[]
  /** Keys per block of online softmax. */
  readonly attentionKeyBlock: number
}
