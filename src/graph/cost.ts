/** What a graph costs: floating-point operations and bytes, in all and by input set. */

import type { Graph } from './graph'
import { bytesOf, opDefinition } from './op'
import type { InputSet } from './value'

/** Work of one row. */
export interface Cost {
  /** A multiply-add is two. */
  readonly flops: number
  /** Bytes read and written when nothing is fused; views are free. */
  readonly bytes: number
}

const VIEWS = new Set(['reshape', 'slice'])

/**
 * Cost of a graph by input set: what stands under `latent` sets runs at every step, the rest can be cut out.
 *
 * @param elementBytes - bytes of one stored element.
 */
export function costBySet(g: Graph, elementBytes: number): ReadonlyMap<InputSet, Cost> {
  const costs = new Map<InputSet, Cost>()
  for (const value of g.values) {
    if (value.origin.kind !== 'op') continue
    const { op, inputs, attrs } = value.origin
    const sum = costs.get(value.set) ?? { flops: 0, bytes: 0 }
    costs.set(value.set, {
      flops: sum.flops + opDefinition(op).flops(inputs, value, attrs),
      bytes: sum.bytes + (VIEWS.has(op) ? 0 : bytesOf(inputs, value, elementBytes)),
    })
  }
  return costs
}

/** Cost of the whole graph. */
export function graphCost(g: Graph, elementBytes: number): Cost {
  let flops = 0
  let bytes = 0
  for (const cost of costBySet(g, elementBytes).values()) {
    flops += cost.flops
    bytes += cost.bytes
  }
  return { flops, bytes }
}
