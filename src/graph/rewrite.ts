/** Rewriting: a graph with some values replaced and everything that depends on them rebuilt. */

import { type Graph, graph } from './graph'
import { applyOp } from './op'
import { type Pieces, whole } from './pieces'
import type { Value } from './value'

/** What a value becomes, given its already rewritten operands; `undefined` leaves it as it is. */
export type Rule = (value: Value, operands: readonly Value[]) => Value | undefined

/** Applies the rule to every value, operands before users. Values that nothing changes keep their identity. */
export const rewrite = whole(rewritePieces)

/** {@link rewrite} in pieces. */
export function* rewritePieces(g: Graph, rule: Rule): Pieces<Graph> {
  const became = new Map<Value, Value>()
  const now = (value: Value): Value => became.get(value) ?? value
  for (const value of g.values) {
    yield
    const operands = value.origin.kind === 'op' ? value.origin.inputs.map(now) : []
    const replaced = rule(value, operands)
    if (replaced) became.set(value, replaced)
    else if (value.origin.kind === 'op') became.set(value, withOperands(value, operands))
  }
  return graph(g.name, Object.fromEntries(Object.entries(g.outputs).map(([name, value]) => [name, now(value)])))
}

/** The same op over other operands; the same value when they are the same. */
export function withOperands(value: Value, operands: readonly Value[]): Value {
  if (value.origin.kind !== 'op') return value
  const { op, inputs, attrs } = value.origin
  return operands.every((operand, index) => operand === inputs[index]) ? value : applyOp(op, value.at, operands, attrs)
}

/** How many times each value is read, by other values and as an output. */
export function useCounts(g: Graph): Map<Value, number> {
  const uses = new Map<Value, number>()
  const count = (value: Value) => uses.set(value, (uses.get(value) ?? 0) + 1)
  for (const value of g.values) if (value.origin.kind === 'op') value.origin.inputs.forEach(count)
  Object.values(g.outputs).forEach(count)
  return uses
}
