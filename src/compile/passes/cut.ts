/**
 * cut: one graph becomes several, so that what depends on the prompt, the image or the timestep alone is computed once
 * and kept as state.
 *
 * Parts run in the order prompt, image, step, prompt+step, row. A value computed in one part and read in a later one is
 * a state: an output `state.<path>` of the first and an input of the second. Free views (reshape, slices that move no
 * memory) are never states themselves: they are applied again where they are read, and so is what a timestep embedding
 * reads, for states have the network's type. Values of no set (made of parameters alone) stay with whoever reads them.
 */

import { type Graph, graph, operandsOf } from '../../graph/graph'
import { type Pieces, whole } from '../../graph/pieces'
import { withOperands } from '../../graph/rewrite'
import type { InputKind, InputSet, Value } from '../../graph/value'
import { isFreeView } from '../place'
import { exactValues } from './precision'

/** The sets that get a part of their own, in running order. */
export const CUT_SETS = ['prompt', 'image', 'step', 'prompt+step'] as const

export type CutSet = (typeof CUT_SETS)[number] | 'row'

/** One sub-graph. */
export interface CutPart {
  readonly set: CutSet
  readonly graph: Graph
  /** Names of the inputs that are states of earlier parts. */
  readonly states: ReadonlySet<string>
}

/** Parts in running order, the row part last; a graph without anything to cut is one row part. */
export const cut = whole(cutPieces)

/** {@link cut} in pieces. */
export function* cutPieces(g: Graph): Pieces<CutPart[]> {
  const partOf = (value: Value): CutSet | undefined => {
    if (value.origin.kind !== 'op' || value.set === '') return undefined
    return CUT_SETS.find((set) => set === value.set) ?? 'row'
  }
  if (!g.values.some((value) => partOf(value) === 'row')) return [{ set: 'row', graph: g, states: new Set() }]

  const exact = exactValues(g)
  const stays = (value: Value, set: CutSet) => {
    const owner = partOf(value)
    return owner === undefined || owner === set || isFreeView(value) || exact.has(value)
  }
  const names = new StateNames()
  const made = new Map<CutSet, Map<Value, string>>() // states each part must give
  const parts: CutPart[] = []
  // Later parts decide what earlier ones must give, so they are built from the last to the first.
  for (const set of ['row', ...CUT_SETS.toReversed()] as const) {
    const wanted = made.get(set)
    const outputs =
      set === 'row' ? Object.entries(g.outputs) : [...(wanted ?? [])].map(([value, name]) => [name, value] as const)
    if (outputs.length === 0) continue
    const states = new Set<string>()
    const moved = new Map<Value, Value>()
    const move = (value: Value): Value => moved.get(value) ?? value
    yield
    for (const value of reached(
      outputs.map(([, value]) => value),
      (value) => (stays(value, set) ? operandsOf(value) : []),
    )) {
      yield
      const owner = partOf(value)
      if (stays(value, set) || owner === undefined) {
        moved.set(value, withOperands(value, operandsOf(value).map(move)))
        continue
      }
      const name = names.of(value)
      const givers = made.get(owner) ?? new Map<Value, string>()
      made.set(owner, givers.set(value, name))
      states.add(name)
      moved.set(value, stateInput(value, name))
    }
    yield
    parts.unshift({
      set,
      graph: graph(`${g.name}/${set}`, Object.fromEntries(outputs.map(([name, value]) => [name, move(value)]))),
      states,
    })
  }
  return parts
}

/** Values in reach, operands first. */
function reached(roots: readonly Value[], operands: (value: Value) => readonly Value[]): Value[] {
  const done = new Set<Value>()
  const order: Value[] = []
  const stack = roots.toReversed().map((value) => ({ value, next: 0 }))
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const operand = done.has(top.value) ? undefined : operands(top.value)[top.next++]
    if (operand) {
      if (!done.has(operand)) stack.push({ value: operand, next: 0 })
      continue
    }
    stack.pop()
    if (!done.has(top.value)) order.push(top.value)
    done.add(top.value)
  }
  return order
}

/** The value as the later part sees it. */
function stateInput(value: Value, name: string): Value {
  const belongsTo = value.set.split('+').at(-1) as InputKind
  return {
    shape: value.shape,
    dtype: value.dtype,
    axes: value.axes,
    at: name,
    origin: { kind: 'input', name, belongsTo },
    set: value.set satisfies InputSet,
  }
}

/** `state.<path>`, with `~2`, `~3` behind it where several values share a path. */
class StateNames {
  readonly #names = new Map<Value, string>()
  readonly #taken = new Set<string>()

  of(value: Value): string {
    const known = this.#names.get(value)
    if (known) return known
    let name = `state.${value.at}`
    for (let copy = 2; this.#taken.has(name); copy++) name = `state.${value.at}~${copy}`
    this.#taken.add(name)
    this.#names.set(value, name)
    return name
  }
}
