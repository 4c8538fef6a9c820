/** From a case to a graph with inputs for any number of rows. */

import { type Graph, graph } from '../../src/graph/graph'
import { applyOp } from '../../src/graph/op'
import '../../src/graph/ops'
import { concat, scale, slice } from '../../src/graph/ops'
import { literalRecipe } from '../../src/graph/recipe'
import { input, param, type Value } from '../../src/graph/value'
import { elements, formatShape, type Shape } from '../../src/tensor/shape'
import { normals, random, seedOf } from '../oracle/random'
import type { CaseOperand, OpCase } from './case'
import type { Link } from './epilogue'

/** Inputs of one row. */
export type CaseRow = Readonly<Record<string, Float32Array | Int32Array>>

/** `[3, 4] columns, param [5, 4] {heads: 2}`, for test names. */
export function caseName({ operands, attrs = {}, into }: OpCase): string {
  const text = operands.map(({ shape, as, within, spread }) =>
    [
      as === 'input' ? undefined : as,
      formatShape(shape),
      within && `in ${within}`,
      spread && as !== 'param' ? `x${spread}` : undefined,
    ]
      .filter(Boolean)
      .join(' '),
  )
  return `${text.join(', ')} ${JSON.stringify(attrs)}${into ? ` into ${into}` : ''}`
}

/**
 * The graph of a case, with the op's result as output `y`.
 *
 * @param stored - every operand is first written to the arena in the network's type, and the result read from there;
 * otherwise the op reads and writes the float32 of the ports where it can.
 */
export function caseGraph(op: string, { operands, attrs = {}, into }: OpCase, stored: boolean): Graph {
  const result = applyOp(
    op,
    op,
    operands.map((operand, index) => operandValue(operand, index, stored)),
    attrs,
  )
  const written = into ? join(result, into) : result
  // Read twice, so that it must be stored on its way out.
  return graph(op, stored ? { y: written, again: scale('again', written, 0.5) } : { y: written })
}

/** `mul channel within, add same`, for messages. */
export function chainName(chain: readonly Link[]): string {
  return chain
    .map(({ op, attrs, operand, within }) =>
      [op, attrs && Object.values(attrs).join(), operand, within && 'within'].filter(Boolean).join(' '),
    )
    .join(', ')
}

/** The graph of a case followed by element-wise ops, with their operands, which `extra` names by shape. */
export function chainGraph(
  op: string,
  one: OpCase,
  chain: readonly Link[],
  stored: boolean,
): { readonly graph: Graph; readonly extra: Record<string, Shape> } {
  const extra: Record<string, Shape> = {}
  let value = applyOp(
    op,
    op,
    one.operands.map((operand, index) => operandValue(operand, index, stored)),
    one.attrs ?? {},
  )
  const columns = value.shape.at(-1) ?? 1
  chain.forEach((link, index) => {
    const shape = link.operand === 'same' ? value.shape : [link.operand === 'scalar' ? 1 : columns]
    if (!link.operand) value = applyOp(link.op, link.op, [value], link.attrs ?? {})
    else {
      const name = `e${index}`
      const port = input(name, 'latent', {
        shape: wide(shape, link.within ? 'columns' : undefined),
        dtype: 'f32',
        axes: shape.map(() => '_'),
      })
      extra[name] = port.shape
      // A computed operand, so that it has the network's type and, within something wider, a pitch.
      const computed = scale(`${name}.half`, port, 0.5)
      value = applyOp(
        link.op,
        link.op,
        [value, link.within ? slice(`${name}.part`, computed, -1, 3, columns) : computed],
        link.attrs ?? {},
      )
    }
  })
  return { graph: graph(op, { y: value }), extra }
}

/** Inputs of row `row`; rows differ. */
export function caseRow(op: string, { operands }: OpCase, row: number): CaseRow {
  return Object.fromEntries(
    operands.flatMap((operand, index): [string, Float32Array | Int32Array][] => {
      if (operand.as === 'param') return []
      const { as, below = 1, spread = 1, values, shape } = operand
      const count = elements(wide(shape, operand.within))
      const name = `x${index}`
      const seed = `${op}.${name}.${row}.${shape}`
      if (as === 'ids') {
        const source = random(seedOf(seed))
        return [[name, Int32Array.from({ length: count }, () => values?.[row % values.length] ?? source.below(below))]]
      }
      const drawn = normals(seed, count, spread)
      return [[name, values ? drawn.fill(values[row % values.length] ?? 0) : drawn]]
    }),
  )
}

/** The shape an operand is a slice of. */
function wide(shape: Shape, within: CaseOperand['within']): Shape {
  if (within === 'columns') return shape.with(-1, (shape.at(-1) ?? 1) + 5)
  return within === 'rows' ? shape.with(0, (shape[0] ?? 1) + 2) : shape
}

function operandValue(operand: CaseOperand, index: number, stored: boolean): Value {
  const { shape, as = 'input', within, spread = 1 } = operand
  const name = `x${index}`
  const axes = shape.map(() => '_')
  if (as === 'param')
    return param(literalRecipe(normals(`${name}.${shape}`, elements(shape), spread), shape), shape, name)
  if (as === 'ids') return input(name, 'latent', { shape, dtype: 'i32', axes })
  const port = input(name, 'latent', { shape: wide(shape, within), dtype: 'f32', axes })
  const value = stored ? scale(`${name}.stored`, port, 0.5) : port
  if (within === 'columns') return slice(`${name}.columns`, value, -1, 3, shape.at(-1) ?? 1)
  return within === 'rows' ? slice(`${name}.rows`, value, 0, 1, shape[0] ?? 1) : value
}

function join(result: Value, into: 'columns' | 'rows'): Value {
  const beside = param(literalRecipe(normals('beside', elements(result.shape)), result.shape), result.shape, 'beside')
  return concat('joined', [beside, result, beside], into === 'columns' ? -1 : 0)
}
