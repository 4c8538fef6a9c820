/** Graphs: named outputs over a DAG of values, with its values in a fixed topological order. */

import { EngineError } from '../errors'
import { opDefinition } from './op'
import type { Value } from './value'

/** One network for one row. */
export interface Graph {
  readonly name: string
  readonly outputs: Readonly<Record<string, Value>>
  /** Every value the outputs depend on, operands before users; equal graphs have equal orders. */
  readonly values: readonly Value[]
}

/** Closes a DAG into a graph. Throws `invalid-graph` on two inputs of one name. */
export function graph(name: string, outputs: Readonly<Record<string, Value>>): Graph {
  const values = topologicalOrder(Object.values(outputs))
  const inputs = new Map<string, Value>()
  for (const value of values) {
    if (value.origin.kind !== 'input') continue
    const known = inputs.get(value.origin.name)
    if (known && known !== value)
      throw new EngineError('invalid-graph', `${name}: expected one input "${value.origin.name}", got two`)
    inputs.set(value.origin.name, value)
  }
  return { name, outputs, values }
}

/** Operands before users, depth first in operand order, without recursion (networks are thousands of values deep). */
export function topologicalOrder(roots: readonly Value[]): Value[] {
  const done = new Set<Value>()
  const order: Value[] = []
  const stack: { readonly value: Value; next: number }[] = []
  for (const root of roots) {
    stack.push({ value: root, next: 0 })
    while (stack.length > 0) {
      const top = stack.at(-1)
      if (!top) break
      if (done.has(top.value)) {
        stack.pop()
        continue
      }
      const operand = operandsOf(top.value)[top.next]
      if (operand) {
        top.next += 1
        if (!done.has(operand)) stack.push({ value: operand, next: 0 })
      } else {
        done.add(top.value)
        order.push(top.value)
        stack.pop()
      }
    }
  }
  return order
}

/** The values a value is computed from; none for inputs and parameters. */
export function operandsOf(value: Value): readonly Value[] {
  return value.origin.kind === 'op' ? value.origin.inputs : []
}

/** Inputs of a graph in topological order. */
export function graphInputs(g: Graph): Value[] {
  return g.values.filter((value) => value.origin.kind === 'input')
}

/** Floating-point operations of one row of the whole graph. */
export function graphFlops(g: Graph): number {
  return g.values.reduce(
    (sum, value) =>
      value.origin.kind === 'op'
        ? sum + opDefinition(value.origin.op).flops(value.origin.inputs, value, value.origin.attrs)
        : sum,
    0,
  )
}
