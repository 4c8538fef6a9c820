/** Every op's shape rule and what it refuses. */

import { describe, expect, test } from 'vitest'
import { EngineError } from '../../../src/errors'
import { opDefinitions } from '../../../src/graph/op'
import * as ops from '../../../src/graph/ops'
import { tensorRecipe } from '../../../src/graph/recipe'
import { input, param, type Value } from '../../../src/graph/value'
import type { Shape } from '../../../src/tensor/shape'

const x = (...shape: number[]): Value =>
  input('x', 'latent', { shape, dtype: 'f32', axes: shape.map((_, axis) => 'abcdef'[axis] ?? '_') })
const ids = (...shape: number[]): Value => input('ids', 'prompt', { shape, dtype: 'i32', axes: shape.map(() => 'L') })
const w = (...shape: number[]): Value => param(tensorRecipe('w', shape), shape, 'w')

/** Op, what is built, shape of the result. */
const RULES: readonly (readonly [string, () => Value, Shape])[] = [
  ['linear', () => ops.linear('at', x(3, 4), w(5, 4), w(5)), [3, 5]],
  ['linear', () => ops.linear('at', x(4), w(1, 4)), [1]],
  ['conv2d', () => ops.conv2d('at', x(5, 6, 3), w(7, 3, 3, 3), w(7), { padding: 1 }), [5, 6, 7]],
  ['conv2d', () => ops.conv2d('at', x(5, 6, 3), w(7, 3, 3, 3), undefined, { stride: 2, padding: 1 }), [3, 3, 7]],
  [
    'conv2d',
    () => ops.conv2d('at', x(4, 4, 1), w(1, 3, 3, 1), undefined, { stride: 2, padding: [0, 0, 1, 1] }),
    [2, 2, 1],
  ],
  ['conv2d', () => ops.conv2d('at', x(4, 6, 1), w(1, 2, 3, 1), undefined, { stride: [2, 3] }), [2, 2, 1]],
  ['attention', () => ops.attention('at', x(3, 8), x(5, 8), x(5, 8), { heads: 2, kvLength: ids(1) }), [3, 8]],
  ['attention', () => ops.attention('at', x(3, 8), x(3, 8), x(3, 8), { heads: 8, causal: true }), [3, 8]],
  ['layer_norm', () => ops.layerNorm('at', x(3, 8), { eps: 1e-5, weight: w(8), bias: w(8) }), [3, 8]],
  ['group_norm', () => ops.groupNorm('at', x(2, 3, 8), 4, { eps: 1e-5 }), [2, 3, 8]],
  ['rms_norm', () => ops.rmsNorm('at', x(3, 8), { eps: 1e-6, weight: w(8) }), [3, 8]],
  ['softmax', () => ops.softmax('at', x(2, 3)), [2, 3]],
  ['activation', () => ops.gelu('at', x(2, 3)), [2, 3]],
  ['leaky_relu', () => ops.leakyRelu('at', x(2, 3), 0.2), [2, 3]],
  ['prelu', () => ops.prelu('at', x(2, 3), w(3)), [2, 3]],
  ['add', () => ops.add('at', x(2, 3), x(2, 3)), [2, 3]],
  ['add', () => ops.add('at', x(3), x(2, 3)), [2, 3]],
  ['add', () => ops.add('at', x(4, 2, 3), x(1, 1, 3)), [4, 2, 3]],
  ['sub', () => ops.sub('at', x(2, 3), x(3)), [2, 3]],
  ['mul', () => ops.mul('at', x(1), x(2, 3)), [2, 3]],
  ['mul_one_plus', () => ops.mulOnePlus('at', x(2, 3), x(1, 3)), [2, 3]],
  ['scale', () => ops.scale('at', x(2, 3), 0.5), [2, 3]],
  ['offset', () => ops.offset('at', x(2, 3), 1), [2, 3]],
  ['embedding', () => ops.embedding('at', ids(4), w(10, 6)), [4, 6]],
  ['reshape', () => ops.reshape('at', x(2, 6), [3, 4]), [3, 4]],
  ['permute', () => ops.permute('at', x(2, 3, 4), [2, 0, 1]), [4, 2, 3]],
  ['concat', () => ops.concat('at', [x(2, 3), x(2, 1)], -1), [2, 4]],
  ['slice', () => ops.slice('at', x(2, 6), -1, 2, 3), [2, 3]],
  ['resize_nearest', () => ops.resizeNearest('at', x(2, 3, 4), [4, 6]), [4, 6, 4]],
  ['resize_bilinear', () => ops.resizeBilinear('at', x(2, 3, 4), [1, 7]), [1, 7, 4]],
  ['geglu', () => ops.geglu('at', x(3, 8)), [3, 4]],
  ['timestep_embedding', () => ops.timestepEmbedding('at', x(1), 6), [6]],
  ['modulate', () => ops.modulate('at', x(4, 3), x(3), x(1, 3)), [4, 3]],
  ['clamp_tanh', () => ops.clampTanh('at', x(2, 3), 3), [2, 3]],
  ['pixel_shuffle', () => ops.pixelShuffle('at', x(2, 3, 8), 2), [4, 6, 2]],
  ['pixel_unshuffle', () => ops.pixelUnshuffle('at', x(4, 6, 2), 2), [2, 3, 8]],
  ['depth_to_space', () => ops.depthToSpace('at', x(2, 3, 12), 2), [4, 6, 3]],
]

/** Op, what is built, what the message says. */
const REFUSALS: readonly (readonly [string, () => Value, RegExp])[] = [
  [
    'linear',
    () => ops.linear('blocks.0.to_q', x(3, 4), w(5, 3)),
    /^linear\(blocks\.0\.to_q\): expected x with last axis 3, got 4 \(x \[3, 4\] f32, weight \[5, 3\] f32\)$/,
  ],
  ['linear', () => ops.linear('at', x(3, 4), w(5, 4), w(4)), /expected bias \[5\], got 4/],
  ['conv2d', () => ops.conv2d('at', x(5, 6), w(7, 3, 3, 3)), /expected x \[H, W, C\]/],
  ['conv2d', () => ops.conv2d('at', x(5, 6, 2), w(7, 3, 3, 3)), /expected x with 3 channels, got 2/],
  [
    'conv2d',
    () => ops.conv2d('at', x(2, 2, 3), w(7, 3, 3, 3)),
    /expected a padded picture of at least 3 x 3, got 2 x 2/,
  ],
  ['conv2d', () => ops.conv2d('at', x(5, 6, 3), w(7, 3, 3, 3), undefined, { stride: 0 }), /expected positive strides/],
  [
    'conv2d',
    () => ops.conv2d('at', x(5, 6, 3), w(7, 3, 3, 3), undefined, { padding: [-1, 0, 0, 0] }),
    /expected paddings of at least 0/,
  ],
  ['conv2d', () => ops.conv2d('at', x(5, 6, 3), w(7, 3, 3, 3), w(3)), /expected bias \[7\]/],
  ['attention', () => ops.attention('at', x(3, 8), x(5, 8), x(4, 8), { heads: 2 }), /expected v of length 5, got 4/],
  ['attention', () => ops.attention('at', x(3, 8), x(5, 8), x(5, 8), { heads: 3 }), /divisible by 3 heads, got 8/],
  ['attention', () => ops.attention('at', x(3, 8), x(5, 4), x(5, 8), { heads: 2 }), /expected k of width 8, got 4/],
  [
    'attention',
    () => ops.attention('at', x(3, 8), x(5, 8), x(5, 8), { heads: 2, causal: true }),
    /as many keys as queries when causal, 3, got 5/,
  ],
  [
    'attention',
    () => ops.attention('at', x(3, 8), x(5, 8), x(5, 8), { heads: 2, kvLength: x(1) }),
    /expected kvLength \[1\] i32/,
  ],
  [
    'attention',
    () => ops.attention('at', x(3, 8), x(5, 8), x(5, 8), { heads: 2, scale: Number.NaN }),
    /expected a finite scale/,
  ],
  ['layer_norm', () => ops.layerNorm('at', x(3, 8), { eps: 1e-5, weight: w(7) }), /expected weight \[8\], got \[7\]/],
  ['layer_norm', () => ops.layerNorm('at', x(3, 8), { eps: Number.NaN }), /expected eps of at least 0, got NaN/],
  [
    'group_norm',
    () => ops.groupNorm('at', x(2, 3, 318), 32, { eps: 1e-5 }),
    /^group_norm\(at\): expected channels divisible by 32, got 318 \(x \[2, 3, 318\] f32\)$/,
  ],
  ['rms_norm', () => ops.rmsNorm('at', x(3, 8), { eps: -1 }), /expected eps of at least 0/],
  ['softmax', () => ops.softmax('at', x()), /expected x \[\.\.\., C\]/],
  ['activation', () => ops.silu('at', ids(3)), /expected x of real numbers, got i32/],
  ['leaky_relu', () => ops.leakyRelu('at', x(2, 3), Number.POSITIVE_INFINITY), /expected a finite slope/],
  ['prelu', () => ops.prelu('at', x(2, 3), w(2)), /expected weight \[3\] or \[1\], got \[2\]/],
  ['add', () => ops.add('at', x(2, 3), x(2, 1)), /expected b \[2,3\], \[3\] per channel or a scalar, got \[2,1\]/],
  ['add', () => ops.add('at', x(2, 3), x(3, 2)), /got \[3,2\]/],
  ['add', () => (ops.add('at', x(3), x(1, 1, 3)).shape.length === 3 ? ops.add('at', x(2), x(3)) : x(1)), /got \[3\]/],
  ['sub', () => ops.sub('at', x(3), x(2, 3)), /got \[2,3\]/],
  ['mul', () => ops.mul('at', x(2, 3), ids(3)), /two operands of real numbers, got f32 and i32/],
  ['mul_one_plus', () => ops.mulOnePlus('at', x(2, 3), x(2)), /got \[2\]/],
  ['scale', () => ops.scale('at', x(2, 3), Number.NaN), /expected a finite factor, got NaN/],
  ['offset', () => ops.offset('at', x(2, 3), Number.NaN), /expected a finite amount, got NaN/],
  ['embedding', () => ops.embedding('at', x(4), w(10, 6)), /expected ids \[L\] i32/],
  ['embedding', () => ops.embedding('at', ids(4), w(10)), /expected table \[V, D\]/],
  ['reshape', () => ops.reshape('at', x(2, 6), [3, 5]), /expected a shape of 12 elements, got \[3,5\]/],
  ['permute', () => ops.permute('at', x(2, 3), [0, 0]), /expected an order of 2 axes, got \[0,0\]/],
  [
    'concat',
    () => ops.concat('at', [x(2, 3), x(3, 3)], -1),
    /expected parts like \[2,3\] apart from axis 1, got \[3,3\]/,
  ],
  ['concat', () => ops.concat('at', [], 0), /expected at least one part, got none/],
  ['concat', () => ops.concat('at', [x(2)], 3), /expected an axis of \[2\], got 3/],
  ['slice', () => ops.slice('at', x(2, 6), -1, 4, 3), /expected a range within the 6 of axis 1, got 4\+3/],
  ['slice', () => ops.slice('at', x(2, 6), -1, 0.5, 3), /got 0.5\+3/],
  ['resize_nearest', () => ops.resizeNearest('at', x(2, 3, 4), [0, 6]), /expected a size/],
  ['resize_bilinear', () => ops.resizeBilinear('at', x(2, 3), [1, 7]), /expected x \[H, W, C\]/],
  ['geglu', () => ops.geglu('at', x(3, 7)), /expected an even number of channels, got 7/],
  ['geglu', () => ops.geglu('at', ids(4)), /expected x of real numbers, got i32/],
  ['timestep_embedding', () => ops.timestepEmbedding('at', x(1), 5), /expected an even dim of at least 2, got 5/],
  ['timestep_embedding', () => ops.timestepEmbedding('at', x(2), 6), /expected t \[1\]/],
  ['timestep_embedding', () => ops.timestepEmbedding('at', x(1), 2, { shift: 1 }), /shift other than dim \/ 2/],
  ['modulate', () => ops.modulate('at', x(4, 3), x(4), x(3)), /expected shift per channel, \[3\], got \[4\]/],
  ['clamp_tanh', () => ops.clampTanh('at', x(2, 3), 0), /expected a positive limit, got 0/],
  ['pixel_shuffle', () => ops.pixelShuffle('at', x(2, 3, 6), 2), /expected channels divisible by 4, got 6/],
  [
    'pixel_unshuffle',
    () => ops.pixelUnshuffle('at', x(3, 6, 2), 2),
    /expected height and width divisible by 2, got 3 x 6/,
  ],
  ['depth_to_space', () => ops.depthToSpace('at', x(2, 3, 6), 2), /expected channels divisible by 4, got 6/],
]

describe('shape rules', () => {
  test.each(RULES)('%s %#', (op, build, shape) => {
    const value = build()
    expect(value.shape).toEqual(shape)
    expect(value.axes).toHaveLength(shape.length)
    expect(value.origin).toMatchObject({ kind: 'op', op })
    expect(value.dtype).toBe('f32')
  })

  test.each(REFUSALS)('%s refuses %#', (_op, build, message) => {
    expect(build).toThrow(EngineError)
    expect(build).toThrow(message)
    expect(build).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
  })

  test('every registered op has a rule and a refusal here', () => {
    const names = opDefinitions().map((definition) => definition.name)
    expect(new Set(RULES.map(([op]) => op))).toEqual(new Set(names))
    expect(new Set(REFUSALS.map(([op]) => op))).toEqual(new Set(names))
  })
})

test('a value is of the sets its operands are of', () => {
  const text = input('text', 'prompt', { shape: [2, 3], dtype: 'f32', axes: ['L', 'D'] })
  const time = input('time', 'step', { shape: [3], dtype: 'f32', axes: ['D'] })
  expect(ops.add('at', text, time).set).toBe('prompt+step')
  expect(ops.add('at', x(2, 3), ops.add('at', text, time)).set).toBe('prompt+step+latent')
  expect(ops.relu('at', w(3)).set).toBe('')
})

test('axis labels follow the axes', () => {
  expect(ops.permute('at', x(2, 3, 4), [2, 0, 1]).axes).toEqual(['c', 'a', 'b'])
  expect(ops.linear('at', x(2, 3), w(4, 3)).axes).toEqual(['a', 'D'])
  expect(ops.reshape('at', x(2, 3), [6], ['L']).axes).toEqual(['L'])
})

test('floating-point operations of a gemm count a multiply-add as two', () => {
  const flops = (value: Value) => {
    if (value.origin.kind !== 'op') throw new Error('an op')
    const { op, inputs, attrs } = value.origin
    return opDefinitions()
      .find((definition) => definition.name === op)
      ?.flops(inputs, value, attrs)
  }
  expect(flops(ops.linear('at', x(3, 4), w(5, 4)))).toBe(2 * 3 * 4 * 5)
  expect(flops(ops.conv2d('at', x(5, 6, 3), w(7, 3, 3, 3), undefined, { padding: 1 }))).toBe(2 * 5 * 6 * 7 * 27)
  expect(flops(ops.attention('at', x(3, 8), x(5, 8), x(5, 8), { heads: 2 }))).toBe(4 * 3 * 5 * 8)
})
