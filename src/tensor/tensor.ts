/** Host tensors: a typed array with a dtype and a shape. */

import type { DType } from './dtype'
import type { Shape } from './shape'

/** The typed array that holds a dtype's elements; f16 and bf16 are held as their 16 bits. */
export type TensorData = Float32Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array

/** Values in host memory, dense and row-major. */
export interface Tensor {
  readonly dtype: DType
  readonly shape: Shape
  readonly data: TensorData
}
