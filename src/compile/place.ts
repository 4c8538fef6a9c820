/** Places: where a value's elements lie inside a buffer, and which rearrangements are only another place. */

import type { Value } from '../graph/value'
import type { StorageType } from '../tensor/dtype'
import { elements, type Shape } from '../tensor/shape'

/** Last-axis vectors of a shape, `pitch` elements apart, from an element of a dense buffer on. */
export interface Place {
  /** Index of the buffer in the table; never a view. */
  readonly buffer: number
  readonly dtype: StorageType
  readonly shape: Shape
  /** Elements from the buffer's start. */
  readonly offset: number
  /** Elements between vectors; the last size when dense. */
  readonly pitch: number
}

/** Length of the last axis. */
export function columnsOf(shape: Shape): number {
  return shape.at(-1) ?? 1
}

/** Number of last-axis vectors. */
export function vectorsOf(shape: Shape): number {
  return elements(shape.slice(0, -1))
}

/** Whether the elements lie behind each other without gaps. */
export function isDense(place: Place): boolean {
  return place.pitch === columnsOf(place.shape)
}

/** A single vector has no gaps, whatever lies behind it. */
function normal(place: Place): Place {
  return vectorsOf(place.shape) === 1 ? { ...place, pitch: columnsOf(place.shape) } : place
}

/** The same elements under another shape; `undefined` when that would move memory. */
export function reshapePlace(place: Place, shape: Shape): Place | undefined {
  if (isDense(place)) return { ...place, shape, pitch: columnsOf(shape) }
  return columnsOf(shape) === columnsOf(place.shape) && shape.length > 0 ? normal({ ...place, shape }) : undefined
}

/** A range of an axis; `undefined` when its vectors would not lie at one pitch. */
export function slicePlace(place: Place, axis: number, start: number, size: number): Place | undefined {
  const shape = place.shape.with(axis, size)
  if (axis === shape.length - 1) return normal({ ...place, shape, offset: place.offset + start })
  if (elements(shape.slice(0, axis)) !== 1) return undefined
  return normal({ ...place, shape, offset: place.offset + start * elements(shape.slice(axis + 1, -1)) * place.pitch })
}

/** Elements between neighbours along each axis. */
export function stridesOf(place: Place): number[] {
  const strides: number[] = []
  let stride = 1
  for (let axis = place.shape.length - 1; axis >= 0; axis--) {
    strides.unshift(stride)
    stride = axis === place.shape.length - 1 ? place.pitch : stride * (place.shape[axis] ?? 1)
  }
  return strides
}

/** Whether a value is the memory of its operand seen otherwise, wherever the operand lies dense. */
export function isFreeView(value: Value): boolean {
  if (value.origin.kind !== 'op') return false
  if (value.origin.op === 'reshape') return true
  if (value.origin.op !== 'slice') return false
  const { axis } = value.origin.attrs
  return axis === value.shape.length - 1 || elements(value.shape.slice(0, Number(axis))) === 1
}
