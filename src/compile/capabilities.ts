/** What a backend can do, as data: passes ask this, never a device. */

import type { DType } from '../tensor/dtype'
import type { KernelName } from './kernels'

export interface Capabilities {
  /** `cpu`, `reference`. */
  readonly backend: string
  /** Arithmetic class that decides the bits: `portable`, `avx2`, `avx512`, `avx512_bf16`, `amx`, `scalar`. */
  readonly arithmetic: string
  /** Storage types activations and weights may have. */
  readonly dtypes: readonly DType[]
  /** The type `auto` picks. */
  readonly preferredDtype: DType
  readonly kernels: readonly KernelName[]
  /** Keys per block of online softmax. */
  readonly attentionKeyBlock: number
  /** Tiles m that conv2d has for 3x3 kernels of stride 1: Winograd's F(m×m, 3×3). */
  readonly winogradTiles: readonly number[]
  /** Types of a network in which those tiles are quicker than one sum over all taps. */
  readonly winogradDtypes: readonly DType[]
  /** Types of a network in which Strassen's product is quicker than one sum, from some size on. */
  readonly strassenDtypes: readonly DType[]
  /** Whether conv2d can read a picture as if every pixel were doubled. */
  readonly upsampledConv2d: boolean
  /** Types in which matrices of a float32 network may be kept: products widen them, which changes no value. */
  readonly widenedDtypes: readonly DType[]
  /** Products that are quicker over int8, weights and x, than in the types of networks. */
  readonly int8Products: readonly KernelName[]
  /** Bits in which it forms their sums: 16 asks for weights and x in fewer steps (native/core/quantize.h). */
  readonly int8Sums: 16 | 32
}
