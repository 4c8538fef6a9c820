/** dedupe: values computed twice from the same operands become one (common subexpressions). */

import type { Graph } from '../../graph/graph'
import { type Pieces, whole } from '../../graph/pieces'
import { recipeText } from '../../graph/recipeText'
import { rewritePieces, withOperands } from '../../graph/rewrite'
import type { Value } from '../../graph/value'

/** Graph in which no two values have the same op, attributes and operands; the first one's path stays. */
export const dedupe = whole(dedupePieces)

/** {@link dedupe} in pieces. */
export function dedupePieces(g: Graph): Pieces<Graph> {
  const first = new Map<string, Value>()
  const numbers = new Map<Value, number>()
  const numberOf = (value: Value): number => {
    const known = numbers.get(value)
    if (known !== undefined) return known
    numbers.set(value, numbers.size)
    return numbers.size - 1
  }
  return rewritePieces(g, (value, operands) => {
    const candidate = withOperands(value, operands)
    const key = keyOf(candidate, numberOf)
    const known = first.get(key)
    if (known) return known
    first.set(key, candidate)
    return candidate
  })
}

function keyOf(value: Value, numberOf: (value: Value) => number): string {
  const { origin } = value
  switch (origin.kind) {
    case 'input':
      return `input ${origin.name}`
    case 'param':
      return `param ${recipeText(origin.recipe)}`
    case 'op':
      return `${origin.op} ${origin.inputs.map(numberOf).join(' ')} ${JSON.stringify(origin.attrs)}`
    default:
      return origin satisfies never
  }
}
