/** Element types of host tensors, graph values and program buffers. */

/** Element type. `f16` and `bf16` are storage types; arithmetic on them is in float32. */
export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'i64' | 'u8'

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = { f32: 4, f16: 2, bf16: 2, i32: 4, i64: 8, u8: 1 }

/** What buffers of a program hold: types of tensors, and of packed weights `i8`, whole numbers with a scale per output. */
export type StorageType = DType | 'i8'

/** Bytes of one element; scales are not counted. */
export const STORAGE_BYTES: Readonly<Record<StorageType, number>> = { ...DTYPE_BYTES, i8: 1 }

/** Whether the type holds real numbers. */
export function isFloat(dtype: StorageType): boolean {
  return dtype === 'f32' || dtype === 'f16' || dtype === 'bf16'
}
