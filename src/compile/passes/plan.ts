/**
 * plan: places arena buffers so that no two that live at the same time share bytes.
 *
 * A buffer lives from its first write to its last use. Offsets are those of one row; in a run of B rows, row r of a
 * buffer is at B·offset + r·size, so the buffer takes B·offset to B·(offset + size), and buffers that are apart for one
 * row are apart for any number. Biggest first, each at the lowest gap that fits (greedy by size).
 */

import { type Pieces, whole } from '../../graph/pieces'
import { STORAGE_BYTES } from '../../tensor/dtype'
import { elements } from '../../tensor/shape'
import { KERNELS } from '../kernels'
import type { BufferSpec, Program, Step } from '../program'
import type { Scheduled } from './schedule'

/** Every arena buffer starts at a multiple of this: a cache line, and the widest vector. */
export const ARENA_ALIGNMENT = 64

/** Bytes between which several buffers live, one after the other. */
interface Slot {
  readonly bytes: number
  first: number
  last: number
  offset: number
}

/** The finished program. */
export const plan = whole(planPieces)

/** {@link plan} in pieces. */
export function* planPieces(draft: Scheduled, options: { readonly inPlace: boolean }): Pieces<Program> {
  const slotOf = new Map<number, Slot>()
  const slots: Slot[] = []
  const { first, last } = lifetimes(draft.buffers, draft.steps)
  for (const [index, step] of draft.steps.entries()) {
    yield
    const root = rootOf(draft.buffers, step.output)
    if (first.get(root) !== index || draft.buffers[root]?.storage.kind !== 'arena') continue
    const end = last.get(root) ?? index
    const over = options.inPlace ? overwritten(draft.buffers, step, index, last) : undefined
    const inherited = over === undefined ? undefined : slotOf.get(over)
    if (inherited) inherited.last = end
    else slots.push({ bytes: rowBytes(draft.buffers[root]), first: index, last: end, offset: 0 })
    const slot = inherited ?? slots.at(-1)
    if (slot) slotOf.set(root, slot)
  }
  const arenaBytes = yield* placeSlots(slots)
  const buffers = draft.buffers.map(
    (buffer, index): BufferSpec =>
      buffer.storage.kind === 'arena'
        ? { ...buffer, storage: { kind: 'arena', offset: slotOf.get(index)?.offset ?? 0 } }
        : buffer,
  )
  return { ...draft, buffers, arenaBytes }
}

/** The buffer that holds the bytes. */
export function rootOf(buffers: readonly BufferSpec[], index: number): number {
  const storage = buffers[index]?.storage
  return storage?.kind === 'view' ? storage.base : index
}

/** Bytes of one row. */
export function rowBytes(buffer: BufferSpec | undefined): number {
  return buffer ? elements(buffer.shape) * STORAGE_BYTES[buffer.dtype] : 0
}

/** Every buffer index a step reads. */
export function readsOf(step: Step): number[] {
  return [...step.operands, ...step.epilogue.map((op) => op.operand)].filter(
    (operand) => operand !== null && operand !== undefined,
  )
}

/** First write and last use of every root, as step indices. */
export function lifetimes(
  buffers: readonly BufferSpec[],
  steps: readonly Step[],
): { first: Map<number, number>; last: Map<number, number> } {
  const first = new Map<number, number>()
  const last = new Map<number, number>()
  steps.forEach((step, index) => {
    for (const operand of readsOf(step)) last.set(rootOf(buffers, operand), index)
    const output = rootOf(buffers, step.output)
    if (!first.has(output)) first.set(output, index)
    last.set(output, index)
  })
  return { first, last }
}

/** The whole buffer that a step may write over: its x, dying here, of the same size, read nowhere else. */
export function overwritten(
  buffers: readonly BufferSpec[],
  step: Step,
  index: number,
  last: ReadonlyMap<number, number>,
): number | undefined {
  const [x] = step.operands
  if (!('inPlace' in KERNELS[step.kernel]) || x === null || x === undefined) return undefined
  const from = buffers[x]
  const to = buffers[step.output]
  const whole =
    from?.storage.kind === 'arena' &&
    to?.storage.kind === 'arena' &&
    from.dtype === to.dtype &&
    rowBytes(from) === rowBytes(to)
  const elsewhere = step.epilogue.some((op) => op.operand !== undefined && rootOf(buffers, op.operand) === x)
  return whole && !elsewhere && last.get(x) === index && x !== step.output ? x : undefined
}

/** Gives every slot an offset; returns the bytes they need together. */
function* placeSlots(slots: readonly Slot[]): Pieces<number> {
  const placed: Slot[] = [] // by offset
  let total = 0
  for (const slot of slots.toSorted((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    yield
    let offset = 0
    for (const other of placed) {
      if (other.last < slot.first || slot.last < other.first) continue
      if (offset + slot.bytes <= other.offset) break
      offset = Math.max(offset, align(other.offset + other.bytes))
    }
    slot.offset = offset
    total = Math.max(total, align(offset + slot.bytes))
    const index = placed.findIndex((other) => other.offset > offset)
    placed.splice(index < 0 ? placed.length : index, 0, slot)
  }
  return total
}

function align(bytes: number): number {
  return Math.ceil(bytes / ARENA_ALIGNMENT) * ARENA_ALIGNMENT
}
