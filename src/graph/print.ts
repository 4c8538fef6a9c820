/** The text form of graphs: one line per value. */

import type { Graph } from './graph'
import { type Pieces, whole } from './pieces'
import { recipeText } from './recipeText'
import type { Attr, Attrs, Value, ValueType } from './value'

/**
 * One line per value in topological order: name, op, operands, attributes, type with axis labels, set and path.
 *
 * ```
 * %2 = linear(%0, %1) [L 16, D 256] f32 {latent} proj_in
 * ```
 */
export const printGraph = whole(printGraphPieces)

/** {@link printGraph} in pieces. */
export function* printGraphPieces(g: Graph): Pieces<string> {
  const names = new Map(g.values.map((value, index) => [value, `%${index}`]))
  const name = (value: Value) => names.get(value) ?? '%?'
  const lines: string[] = []
  for (const value of g.values) {
    yield
    const set = value.set ? ` {${value.set}}` : ''
    lines.push(`${name(value)} = ${definition(value, name)} ${printType(value)}${set} ${value.at}`)
  }
  const outputs = Object.entries(g.outputs).map(([output, value]) => `output ${output} = ${name(value)}`)
  return [`graph ${g.name}`, ...lines, ...outputs, ''].join('\n')
}

/** `[h 8, w 8, C 16] f32`. */
export function printType(type: ValueType): string {
  return `[${type.shape.map((size, axis) => (type.axes[axis] && type.axes[axis] !== '_' ? `${type.axes[axis]} ${size}` : `${size}`)).join(', ')}] ${type.dtype}`
}

function definition(value: Value, name: (value: Value) => string): string {
  const { origin } = value
  switch (origin.kind) {
    case 'input':
      return `input ${origin.name}`
    case 'param':
      return `param ${recipeText(origin.recipe)}`
    case 'op':
      return `${origin.op}(${origin.inputs.map(name).join(', ')})${printAttrs(origin.attrs)}`
    default:
      return origin satisfies never
  }
}

function printAttrs(attrs: Attrs): string {
  const entries = Object.entries(attrs)
  return entries.length === 0 ? '' : ` {${entries.map(([key, attr]) => `${key}: ${printAttr(attr)}`).join(', ')}}`
}

function printAttr(attr: Attr): string {
  return typeof attr === 'object' ? `[${attr.join(', ')}]` : typeof attr === 'string' ? JSON.stringify(attr) : `${attr}`
}
