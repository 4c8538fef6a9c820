/** Graphs in float64, op by op; composed ops by their own definition, not by their expansion. */

import type { EpilogueName } from '../../src/compile/kernels'
import type { Graph } from '../../src/graph/graph'
import type { Attrs, Value } from '../../src/graph/value'
import { elements } from '../../src/tensor/shape'
import { type Dense, dense, gather, strides } from './dense'
import * as kernels from './kernels'
import { evaluateRecipe, joinDense } from './recipes'

/** Values of the outputs, given those of the inputs. */
export function interpretGraph(g: Graph, inputs: Readonly<Record<string, ArrayLike<number>>>): Record<string, Dense> {
  const values = new Map<Value, Dense>()
  for (const value of g.values)
    values.set(
      value,
      evaluate(value, inputs, (operand) => found(values.get(operand), operand.at)),
    )
  return Object.fromEntries(Object.entries(g.outputs).map(([name, value]) => [name, found(values.get(value), name)]))
}

function found<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new RangeError(`${what} has no value`)
  return value
}

function evaluate(
  value: Value,
  inputs: Readonly<Record<string, ArrayLike<number>>>,
  of: (operand: Value) => Dense,
): Dense {
  const { origin } = value
  switch (origin.kind) {
    case 'input':
      return dense(value.shape, Float64Array.from(found(inputs[origin.name], origin.name)))
    case 'param':
      return evaluateRecipe(origin.recipe)
    case 'op': {
      const rule = found(RULES[origin.op], origin.op)
      return dense(value.shape, rule(origin.inputs.map(of), origin.attrs, value).data)
    }
    default:
      return origin satisfies never
  }
}

type Rule = (inputs: readonly Dense[], attrs: Attrs, value: Value) => Dense

const list = (attr: unknown): readonly number[] => (Array.isArray(attr) ? attr : [])
const one = (inputs: readonly Dense[], index = 0): Dense => found(inputs[index], `operand ${index}`)
const pair = ([a = 0, b = 0]: readonly number[]): [number, number] => [a, b]
const four = ([a = 0, b = 0, c = 0, d = 0]: readonly number[]): [number, number, number, number] => [a, b, c, d]
const binary =
  (op: EpilogueName): Rule =>
  (inputs) =>
    kernels.broadcast(op, one(inputs), one(inputs, 1))

/** y[i, j, c] = x[from(i, j, c)] over the shape of the value. */
function pixels(value: Value, from: (y: number, x: number, c: number) => number, x: Dense): Dense {
  const [h = 0, w = 0, c = 0] = value.shape
  return dense(
    value.shape,
    Float64Array.from({ length: h * w * c }, (_, i) =>
      found(x.data[from(Math.floor(i / (w * c)), Math.floor(i / c) % w, i % c)], 'pixel'),
    ),
  )
}

const RULES: Readonly<Record<string, Rule>> = {
  linear: ([x, weight, bias]) => kernels.matmul(found(x, 'x'), found(weight, 'weight'), bias),
  conv2d: ([x, weight, bias], { stride, padding }) =>
    kernels.conv2d(found(x, 'x'), found(weight, 'weight'), bias, {
      kernel: pair(found(weight, 'weight').shape.slice(1)),
      stride: pair(list(stride)),
      padding: four(list(padding)),
    }),
  attention: ([q, k, v, kvLength], { heads, causal, scale }) =>
    kernels.attention(
      found(q, 'q'),
      found(k, 'k'),
      found(v, 'v'),
      kvLength,
      Number(heads),
      causal === true,
      Number(scale),
    ),
  layer_norm: ([x, weight, bias], { eps }) => kernels.layerNorm(found(x, 'x'), weight, bias, Number(eps)),
  rms_norm: ([x, weight], { eps }) => kernels.layerNorm(found(x, 'x'), weight, undefined, Number(eps), true),
  group_norm: ([x, weight, bias], { groups, eps }) =>
    kernels.groupNorm(found(x, 'x'), weight, bias, Number(groups), Number(eps)),
  softmax: (inputs) => kernels.softmax(one(inputs)),
  activation: (inputs, { kind }) => kernels.broadcast(kind as EpilogueName, one(inputs), 0),
  leaky_relu: (inputs, { slope }) => kernels.broadcast('leaky_relu', one(inputs), Number(slope)),
  prelu: binary('prelu'),
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  mul_one_plus: binary('mul_one_plus'),
  scale: (inputs, { factor }) => kernels.broadcast('scale', one(inputs), Number(factor)),
  offset: (inputs, { amount }) => kernels.broadcast('offset', one(inputs), Number(amount)),
  clamp_tanh: (inputs, { limit }) => {
    const x = one(inputs)
    return dense(
      x.shape,
      x.data.map((v) => Number(limit) * Math.tanh(v / Number(limit))),
    )
  },
  modulate: (inputs) =>
    kernels.broadcast('add', kernels.broadcast('mul_one_plus', one(inputs), one(inputs, 2)), one(inputs, 1)),
  geglu: (inputs, _attrs, value) => {
    const x = one(inputs)
    const width = value.shape.at(-1) ?? 0
    const half = (start: number) => gather(x, start, value.shape, strides(x.shape))
    return kernels.broadcast('mul', half(0), kernels.broadcast('gelu', half(width), 0))
  },
  embedding: (inputs) => kernels.embedding(one(inputs), one(inputs, 1)),
  reshape: (inputs) => one(inputs),
  permute: (inputs, { order }, value) => {
    const steps = strides(one(inputs).shape)
    return gather(
      one(inputs),
      0,
      value.shape,
      list(order).map((axis) => steps[axis] ?? 0),
    )
  },
  slice: (inputs, { axis, start }, value) => {
    const steps = strides(one(inputs).shape)
    return gather(one(inputs), Number(start) * (steps[Number(axis)] ?? 0), value.shape, steps)
  },
  concat: (inputs, { axis }) => joinDense(inputs, Number(axis)),
  resize_nearest: (inputs, { size }) => kernels.resizeNearest(one(inputs), list(size)),
  resize_bilinear: (inputs, { size, alignCorners }) =>
    kernels.resizeBilinear(one(inputs), list(size), alignCorners === true),
  timestep_embedding: (inputs, { dim, flip, shift, scale, maxPeriod }) =>
    kernels.timestepEmbedding(
      found(one(inputs).data[0], 't'),
      Number(dim),
      flip === true,
      Number(shift),
      Number(scale),
      Number(maxPeriod),
    ),
  pixel_shuffle: (inputs, { factor }, value) => {
    const f = Number(factor)
    const [, w = 0, channels = 0] = one(inputs).shape
    return pixels(
      value,
      (y, x, c) => (Math.floor(y / f) * w + Math.floor(x / f)) * channels + (c * f + (y % f)) * f + (x % f),
      one(inputs),
    )
  },
  depth_to_space: (inputs, { factor }, value) => {
    const f = Number(factor)
    const [, w = 0, channels = 0] = one(inputs).shape
    const out = channels / (f * f)
    return pixels(
      value,
      (y, x, c) => (Math.floor(y / f) * w + Math.floor(x / f)) * channels + ((y % f) * f + (x % f)) * out + c,
      one(inputs),
    )
  },
  pixel_unshuffle: (inputs, { factor }, value) => {
    const f = Number(factor)
    const [, w = 0, channels = 0] = one(inputs).shape
    return pixels(
      value,
      (y, x, k) => {
        const [c, p, q] = [Math.floor(k / (f * f)), Math.floor(k / f) % f, k % f]
        return ((y * f + p) * w + x * f + q) * channels + c
      },
      one(inputs),
    )
  },
}

/** Elements of every input, drawn from its name; integers in [0, below) for ids and lengths. */
export function drawnInputs(
  g: Graph,
  draw: (name: string, count: number, dtype: Value['dtype']) => ArrayLike<number>,
): Record<string, ArrayLike<number>> {
  return Object.fromEntries(
    g.values.flatMap(({ origin, shape, dtype }) =>
      origin.kind === 'input' ? [[origin.name, draw(origin.name, elements(shape), dtype)]] : [],
    ),
  )
}
