/**
 * fuse: a graph becomes a list of launches, each a kernel with the element-wise ops that follow it as its epilogue.
 *
 * An element-wise op joins the launch that made its operand when nothing else reads that operand; the launch then runs
 * where the element-wise op stood, so everything else it reads has been computed by then.
 */

import type { Graph } from '../../graph/graph'
import { broadcastOf } from '../../graph/ops/broadcast'
import { type Pieces, whole } from '../../graph/pieces'
import { useCounts } from '../../graph/rewrite'
import type { Value } from '../../graph/value'
import type { Shape } from '../../tensor/shape'
import {
  epilogueOf,
  isCommutative,
  isElementwise,
  kernelCallOf,
  type LaunchEpilogue,
  type LaunchOperand,
} from '../kernelOf'
import type { KernelName } from '../kernels'
import { columnsOf } from '../place'

/** One kernel call with its epilogue. */
export interface Launch {
  readonly kind: 'launch'
  readonly kernel: KernelName
  readonly operands: readonly (LaunchOperand | null)[]
  readonly attrs: Readonly<Record<string, number>>
  readonly epilogue: readonly LaunchEpilogue[]
  /** Of what the kernel writes: as many elements and the same last axis as the result's. */
  readonly shape: Shape
  /** The last value of the chain. */
  readonly result: Value
  /** Path of the value the kernel is there for. */
  readonly at: string
}

/** A value that is laid out rather than computed: reshape, slice, permute, concat. */
export interface Arrangement {
  readonly kind: 'arrangement'
  readonly value: Value
}

export type Item = Launch | Arrangement

/** Items in running order. With `fuse: false` every op is an item of its own. */
export const fuse = whole(fusePieces)

/** {@link fuse} in pieces. */
export function* fusePieces(g: Graph, options: { readonly fuse: boolean }): Pieces<Item[]> {
  const uses = useCounts(g)
  const items: (Item | undefined)[] = []
  const placeOf = new Map<Value, number>() // item that makes the value
  const put = (item: Item) => {
    placeOf.set(item.kind === 'launch' ? item.result : item.value, items.length)
    items.push(item)
  }

  /** The launch that a value's epilogue could still be added to, through reshapes that keep the last axis. */
  const openLaunch = (value: Value): { readonly index: number; readonly launch: Launch } | undefined => {
    if (!options.fuse || uses.get(value) !== 1) return undefined
    const index = placeOf.get(value)
    const item = index === undefined ? undefined : items[index]
    if (index === undefined || !item) return undefined
    if (item.kind === 'launch') return { index, launch: item }
    const { origin } = item.value
    const [source] = origin.kind === 'op' && origin.op === 'reshape' ? origin.inputs : []
    if (!source || columnsOf(source.shape) !== columnsOf(value.shape)) return undefined
    const open = openLaunch(source)
    if (open) items[index] = undefined // the reshape rides along; taken only when the caller goes on
    return open && { index: open.index, launch: open.launch }
  }

  for (const value of g.values) {
    yield
    const { origin } = value
    if (origin.kind !== 'op') continue
    const call = kernelCallOf(value)
    if (call) put({ kind: 'launch', ...call, shape: value.shape, result: value, at: value.at })
    else if (isElementwise(origin.op)) {
      const [a, b] = origin.inputs
      if (!a) continue
      const swappable = b !== undefined && isCommutative(origin.op) && broadcastOf(a, b) === 'same' && a !== b
      const choices = swappable
        ? ([
            [a, b],
            [b, a],
          ] as const)
        : ([[a, b]] as const)
      const ranked = choices
        .map(([main, other]) => ({ main, other, rank: rankOf(main, uses, placeOf, items) }))
        .toSorted((left, right) => right.rank - left.rank)
      const best = ranked[0] ?? { main: a, other: b, rank: -1 }
      const open = openLaunch(best.main)
      const next = epilogueOf(origin.op, origin.attrs, best.other)
      if (open) {
        items[open.index] = undefined
        put({ ...open.launch, epilogue: [...open.launch.epilogue, next], result: value })
      } else {
        // A parameter is better read beside the value than as the value itself.
        const [main, other] = swappable && a.origin.kind === 'param' ? [b, a] : [a, b]
        put({
          kind: 'launch',
          kernel: 'elementwise',
          operands: [{ value: main, role: 'any' }],
          attrs: {},
          epilogue: [epilogueOf(origin.op, origin.attrs, other)],
          shape: value.shape,
          result: value,
          at: value.at,
        })
      }
    } else put({ kind: 'arrangement', value })
  }
  return items.filter((item) => item !== undefined)
}

/** Which producer gains most from an epilogue: a gemm, then any kernel, then an element-wise one; -1 when it is closed. */
function rankOf(
  value: Value,
  uses: ReadonlyMap<Value, number>,
  placeOf: ReadonlyMap<Value, number>,
  items: readonly (Item | undefined)[],
): number {
  if (uses.get(value) !== 1) return -1
  const index = placeOf.get(value)
  const item = index === undefined ? undefined : items[index]
  if (item?.kind === 'launch')
    return (
      (item.kernel === 'matmul' || item.kernel === 'conv2d' ? 2 : item.kernel === 'elementwise' ? 0 : 1) +
      (index ?? 0) / (items.length + 1)
    )
  const origin = item?.value.origin
  const [source] = origin?.kind === 'op' && origin.op === 'reshape' ? origin.inputs : []
  return source && columnsOf(source.shape) === columnsOf(value.shape) ? rankOf(source, uses, placeOf, items) : -1
}
