/** join_projections: several linear ops of one x become one with stacked weights; each result is a slice of its last axis. */

import { type Graph, graph } from '../../graph/graph'
import { linear, slice } from '../../graph/ops'
import { type Pieces, whole } from '../../graph/pieces'
import { concatRecipe, literalRecipe, type Recipe } from '../../graph/recipe'
import { rewritePieces, withOperands } from '../../graph/rewrite'
import { param, type Value } from '../../graph/value'
import { isElementwise } from '../kernelOf'

/** A linear whose weight and bias are parameters. */
interface Projection {
  readonly value: Value
  readonly weight: Recipe
  readonly bias: Recipe | undefined
}

/**
 * q, k and v of one x; the keys and values of all cross-attentions on one text; every block's time projection.
 * A projection whose only user is an element-wise op on it is left alone: that op rides in its epilogue instead.
 */
export const joinProjections = whole(joinProjectionsPieces)

/** {@link joinProjections} in pieces. */
export function* joinProjectionsPieces(g: Graph): Pieces<Graph> {
  const groups = new Map<Value, Projection[]>()
  const lone = fusedAway(g)
  yield
  for (const value of g.values) {
    const { origin } = value
    if (origin.kind !== 'op' || origin.op !== 'linear' || lone.has(value)) continue
    const [x, weight, bias] = origin.inputs
    if (!x || weight?.origin.kind !== 'param' || (bias && bias.origin.kind !== 'param')) continue
    const group = groups.get(x) ?? []
    group.push({
      value,
      weight: weight.origin.recipe,
      bias: bias?.origin.kind === 'param' ? bias.origin.recipe : undefined,
    })
    groups.set(x, group)
  }

  const groupOf = new Map<Value, { readonly members: readonly Projection[]; joined?: Value }>()
  for (const members of groups.values()) {
    if (members.length < 2) continue
    const group = { members }
    for (const member of members) groupOf.set(member.value, group)
  }
  if (groupOf.size === 0) return g
  yield
  return yield* rewritePieces(graph(g.name, g.outputs), (value, operands) => {
    const group = groupOf.get(value)
    const [x] = operands
    if (!group || !x) return withOperands(value, operands)
    group.joined ??= join(x, group.members)
    const index = group.members.findIndex((member) => member.value === value)
    const start = group.members.slice(0, index).reduce((sum, member) => sum + (member.weight.shape[0] ?? 0), 0)
    return slice(value.at, group.joined, -1, start, value.shape.at(-1) ?? 0)
  })
}

function join(x: Value, members: readonly Projection[]): Value {
  const at = `${members[0]?.value.at}+${members.length - 1}`
  const weight = concatRecipe(
    members.map((member) => member.weight),
    0,
  )
  const biases = members.map(
    ({ weight, bias }) => bias ?? literalRecipe(new Float32Array(weight.shape[0] ?? 0), [weight.shape[0] ?? 0]),
  )
  const bias = members.some((member) => member.bias) ? concatRecipe(biases, 0) : undefined
  return linear(at, x, param(weight, weight.shape, at), bias && param(bias, bias.shape, at))
}

/** Values that are an output, or read only once, as the first operand of an element-wise op of their shape. */
function fusedAway(g: Graph): Set<Value> {
  const users = new Map<Value, number>()
  const into = new Set<Value>()
  for (const user of g.values) {
    if (user.origin.kind !== 'op') continue
    const { op, inputs } = user.origin
    inputs.forEach((operand, index) => {
      users.set(operand, (users.get(operand) ?? 0) + 1)
      const main =
        index === 0 || (inputs[0]?.shape.length === operand.shape.length && operand.shape.join() === user.shape.join())
      if (isElementwise(op) && main) into.add(operand)
    })
  }
  const lone = new Set([...into].filter((value) => users.get(value) === 1))
  for (const output of Object.values(g.outputs)) lone.add(output)
  return lone
}
