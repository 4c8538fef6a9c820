/** expand: every op that is said in simpler ops is replaced by them, until only primitives are left. */

import type { Graph } from '../../graph/graph'
import { opDefinition } from '../../graph/op'
import { type Pieces, whole } from '../../graph/pieces'
import { rewritePieces, withOperands } from '../../graph/rewrite'
import type { Value } from '../../graph/value'

/** Graph with primitive ops only. */
export const expand = whole(expandPieces)

/** {@link expand} in pieces. */
export function expandPieces(g: Graph): Pieces<Graph> {
  return rewritePieces(g, (value, operands) => expandValue(withOperands(value, operands)))
}

/** The value in primitive ops; its operands are so already. */
function expandValue(value: Value): Value {
  if (value.origin.kind !== 'op') return value
  const { op, inputs, attrs } = value.origin
  const expanded = opDefinition(op).expand?.(inputs, attrs, value.at)
  if (!expanded) return value
  const done = new Map<Value, Value>(inputs.map((operand) => [operand, operand]))
  const inside = (part: Value): Value => {
    const known = done.get(part)
    if (known) return known
    const made = part.origin.kind === 'op' ? expandValue(withOperands(part, part.origin.inputs.map(inside))) : part
    done.set(part, made)
    return made
  }
  return inside(expanded)
}
