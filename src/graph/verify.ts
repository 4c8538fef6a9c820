/**
 * The graph verifier: every invariant by name, checked between passes in tests. `compile` leaves it out: it infers every
 * type again, 2 to 20 ms for DiT-XL/2, of values that `applyOp` has checked when it made them.
 */

import { EngineError } from '../errors'
import { sameShape } from '../tensor/shape'
import { type Graph, topologicalOrder } from './graph'
import { applyOp, opDefinition } from './op'
import { unionOfSets, type Value } from './value'

/** What must hold of every graph, by name. */
export const GRAPH_INVARIANTS = ['outputs', 'order', 'types', 'sets', 'inputs', 'params', 'arity'] as const

export type GraphInvariant = (typeof GRAPH_INVARIANTS)[number]

/**
 * Checks a graph: it has outputs; its values are what they reach, operands first; every type is what the op's rule
 * gives; every set is the union of the operands'; input names are distinct; parameters have their recipe's shape; every
 * op has between its required and its possible number of operands. Throws `invalid-graph` naming the invariant.
 */
export function verifyGraph(g: Graph): void {
  const fail = (invariant: GraphInvariant, at: string, text: string): never => {
    throw new EngineError('invalid-graph', `${g.name}: ${invariant}(${at}): ${text}`, { graph: g.name, invariant, at })
  }
  const outputs = Object.entries(g.outputs)
  if (outputs.length === 0) fail('outputs', g.name, 'expected at least one output, got none')
  const order = topologicalOrder(Object.values(g.outputs))
  if (order.length !== g.values.length)
    fail('order', g.name, `expected the ${order.length} values outputs reach, got ${g.values.length}`)

  const seen = new Set<Value>()
  const inputNames = new Set<string>()
  for (const value of g.values) {
    const { origin, at } = value
    if (value.axes.length !== value.shape.length)
      fail('types', at, `expected ${value.shape.length} axis labels, got ${value.axes.length}`)
    if (!value.shape.every((size) => Number.isSafeInteger(size) && size >= 0))
      fail('types', at, `expected sizes of at least 0, got [${value.shape}]`)
    switch (origin.kind) {
      case 'input':
        if (inputNames.has(origin.name)) fail('inputs', at, `expected one input "${origin.name}", got two`)
        inputNames.add(origin.name)
        break
      case 'param':
        if (!sameShape(origin.recipe.shape, value.shape))
          fail('params', at, `expected the recipe's shape [${origin.recipe.shape}], got [${value.shape}]`)
        if (value.set !== '') fail('sets', at, `expected no set for a parameter, got {${value.set}}`)
        break
      case 'op': {
        for (const operand of origin.inputs)
          if (!seen.has(operand)) fail('order', at, `expected operand ${operand.at} before it is read`)
        const { operands } = opDefinition(origin.op)
        const required = operands.filter((name) => !name.endsWith('?')).length
        const most = operands.at(-1)?.endsWith('...') ? Number.POSITIVE_INFINITY : operands.length
        if (origin.inputs.length < required || origin.inputs.length > most)
          fail('arity', at, `expected ${required} to ${most} operands, got ${origin.inputs.length}`)
        const again = applyOp(origin.op, at, origin.inputs, origin.attrs)
        if (again.dtype !== value.dtype || !sameShape(again.shape, value.shape)) {
          fail(
            'types',
            at,
            `expected ${origin.op} to give [${again.shape}] ${again.dtype}, got [${value.shape}] ${value.dtype}`,
          )
        }
        const set = unionOfSets(origin.inputs.map((operand) => operand.set))
        if (set !== value.set) fail('sets', at, `expected {${set}}, got {${value.set}}`)
        break
      }
      default:
        origin satisfies never
    }
    seen.add(value)
  }
  for (const [name, value] of outputs) if (!seen.has(value)) fail('outputs', name, 'expected a value of the graph')
}
