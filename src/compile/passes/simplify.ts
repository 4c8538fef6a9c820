/** simplify: ops that change nothing go away, chains of rearrangements become one, rearranged parameters become recipes. */

import type { Graph } from '../../graph/graph'
import { applyOp } from '../../graph/op'
import { type Pieces, whole } from '../../graph/pieces'
import { rewritePieces, withOperands } from '../../graph/rewrite'
import { type Attrs, param, type Value } from '../../graph/value'
import { sameShape } from '../../tensor/shape'
import { recipeOf } from '../constants'

/** Graph without no-op reshapes, slices, permutes, joins, scales and offsets. */
export const simplify = whole(simplifyPieces)

/** {@link simplify} in pieces. */
export function simplifyPieces(g: Graph): Pieces<Graph> {
  return rewritePieces(g, (value, operands) => simplifyValue(withOperands(value, operands)))
}

function simplifyValue(value: Value): Value {
  const simpler = simplifyOnce(value)
  return simpler === value ? value : simplifyValue(simpler)
}

/** One rule applied, or the value itself when none fits. */
function simplifyOnce(value: Value): Value {
  if (value.origin.kind !== 'op') return value
  const recipe = recipeOf(value)
  if (recipe) return param(recipe, value.shape, value.at)
  const { op, inputs, attrs } = value.origin
  const [x] = inputs
  if (!x) return value
  switch (op) {
    case 'reshape':
      if (sameShape(x.shape, value.shape)) return x
      return madeBy(x, 'reshape', (inner) => applyOp('reshape', value.at, inner.inputs, attrs)) ?? value
    case 'slice':
      if (sameShape(x.shape, value.shape)) return x
      return madeBy(x, 'slice', (inner) => joinSlices(value.at, inner, attrs)) ?? value
    case 'permute':
      return simplifyPermute(value, x, attrs)
    case 'concat':
      return inputs.length === 1 ? x : value
    case 'scale':
      return attrs.factor === 1 ? x : value
    case 'offset':
      return attrs.amount === 0 ? x : value
    case 'resize_nearest':
      return sameShape(x.shape, value.shape) ? x : value
    default:
      return value
  }
}

interface Made {
  readonly inputs: readonly Value[]
  readonly attrs: Attrs
}

/** What becomes of a value made by that op; `undefined` for values made otherwise. */
function madeBy(value: Value, op: string, then: (made: Made) => Value | undefined): Value | undefined {
  return value.origin.kind === 'op' && value.origin.op === op ? then(value.origin) : undefined
}

/** A range of a range of the same axis. */
function joinSlices(at: string, inner: Made, attrs: Attrs): Value | undefined {
  if (inner.attrs.axis !== attrs.axis) return undefined
  return applyOp('slice', at, inner.inputs, { ...attrs, start: Number(inner.attrs.start) + Number(attrs.start) })
}

/** Orders compose; an order that keeps the axes longer than 1 in place is a reshape. */
function simplifyPermute(value: Value, x: Value, attrs: Attrs): Value {
  const order = typeof attrs.order === 'object' ? attrs.order : []
  const long = order.filter((axis) => x.shape[axis] !== 1)
  if (long.every((axis, index) => index === 0 || axis > (long[index - 1] ?? -1))) {
    if (sameShape(x.shape, value.shape)) return x
    return applyOp('reshape', value.at, [x], { shape: value.shape, axes: value.axes.join(' ') })
  }
  return (
    madeBy(x, 'permute', ({ inputs, attrs: inner }) => {
      const innerOrder = typeof inner.order === 'object' ? inner.order : []
      return applyOp('permute', value.at, inputs, { order: order.map((axis) => innerOrder[axis] ?? axis) })
    }) ?? value
  )
}
