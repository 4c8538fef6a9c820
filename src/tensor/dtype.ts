/** Element types of host tensors, graph values and program buffers. */

/** Element type. `f16` and `bf16` are storage types; arithmetic on them is in float32. */
export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'i64' | 'u8'

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<DType, number>> = { f32: 4, f16: 2, bf16: 2, i32: 4, i64: 8, u8: 1 }

/**
 * What buffers of a program hold: types of tensors, and of packed weights whole numbers with a scale per output: `i8`, or
 * `i8-sums16` where products add up in 16 bits (native/core/quantize.h).
 */
export type StorageType = DType | Int8Storage

export type Int8Storage = 'i8' | 'i8-sums16'

/** Bytes of one element; scales are not counted. */
export const STORAGE_BYTES: Readonly<Record<StorageType, number>> = { ...DTYPE_BYTES, i8: 1, 'i8-sums16': 1 }

export function isInt8(dtype: StorageType): dtype is Int8Storage {
  return dtype === 'i8' || dtype === 'i8-sums16'
}

/** Whether the type holds real numbers. */
export function isFloat(dtype: StorageType): boolean {
  return dtype === 'f32' || dtype === 'f16' || dtype === 'bf16'
}
