/** Element types of host tensors, graph values and program buffers. */

/** Element type. `f16` and `bf16` are storage types; arithmetic on them is in float32. */
export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'i64' | 'u8'

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = { f32: 4, f16: 2, bf16: 2, i32: 4, i64: 8, u8: 1 }

/** Whether the type holds real numbers. */
export function isFloat(dtype: DType): boolean {
  return dtype === 'f32' || dtype === 'f16' || dtype === 'bf16'
}
