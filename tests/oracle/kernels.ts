/** Kernels and element-wise ops in float64, as obvious loops: what tests hold the compiler against. */

import type { EpilogueName } from '../../src/compile/kernels'
import { elements, type Shape } from '../../src/tensor/shape'
import { type Dense, dense } from './dense'

const at = (x: Dense, index: number): number => {
  const value = x.data[index]
  if (value === undefined) throw new RangeError(`reads ${index} of ${x.data.length}`)
  return value
}
const last = (shape: Shape) => shape.at(-1) ?? 1

/** x [..., K], weight [N, ...] of K elements each. */
export function matmul(x: Dense, weight: Dense, bias?: Dense): Dense {
  const n = weight.shape[0] ?? 0
  const k = last(x.shape)
  const m = x.data.length / k
  const out = new Float64Array(m * n)
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = bias ? at(bias, j) : 0
      for (let l = 0; l < k; l++) sum += at(x, i * k + l) * at(weight, j * k + l)
      out[i * n + j] = sum
    }
  }
  return dense([...x.shape.slice(0, -1), n], out)
}

export interface ConvGeometry {
  readonly kernel: readonly [number, number]
  readonly stride: readonly [number, number]
  /** top, left, bottom, right */
  readonly padding: readonly [number, number, number, number]
}

/** x [H, W, C], weight [O, ...] of kh·kw·C elements each. */
export function conv2d(
  x: Dense,
  weight: Dense,
  bias: Dense | undefined,
  { kernel, stride, padding }: ConvGeometry,
): Dense {
  const [h = 0, w = 0, c = 0] = x.shape
  const o = weight.shape[0] ?? 0
  const [kh, kw] = kernel
  const [top, left, bottom, right] = padding
  const outH = Math.floor((h + top + bottom - kh) / stride[0]) + 1
  const outW = Math.floor((w + left + right - kw) / stride[1]) + 1
  const out = new Float64Array(outH * outW * o)
  for (let i = 0; i < outH; i++) {
    for (let j = 0; j < outW; j++) {
      for (let k = 0; k < o; k++) {
        let sum = bias ? at(bias, k) : 0
        for (let u = 0; u < kh; u++) {
          for (let v = 0; v < kw; v++) {
            const y = i * stride[0] + u - top
            const z = j * stride[1] + v - left
            if (y < 0 || y >= h || z < 0 || z >= w) continue
            for (let l = 0; l < c; l++) sum += at(x, (y * w + z) * c + l) * at(weight, ((k * kh + u) * kw + v) * c + l)
          }
        }
        out[(i * outW + j) * o + k] = sum
      }
    }
  }
  return dense([outH, outW, o], out)
}

export function attention(
  q: Dense,
  k: Dense,
  v: Dense,
  kvLength: Dense | undefined,
  heads: number,
  causal: boolean,
  scale: number,
): Dense {
  const [length = 0, width = 0] = [q.data.length / last(q.shape), last(q.shape)]
  const exist = kvLength ? at(kvLength, 0) : k.data.length / width
  const size = width / heads
  const out = new Float64Array(length * width)
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < length; i++) {
      const keys = causal ? Math.min(i + 1, exist) : exist
      const scores = Array.from({ length: keys }, (_, j) => {
        let sum = 0
        for (let l = 0; l < size; l++) sum += at(q, i * width + head * size + l) * at(k, j * width + head * size + l)
        return sum * scale
      })
      const most = Math.max(...scores)
      const weights = scores.map((score) => Math.exp(score - most))
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      for (let l = 0; l < size; l++) {
        out[i * width + head * size + l] = weights.reduce(
          (sum, weight, j) => sum + (weight / total) * at(v, j * width + head * size + l),
          0,
        )
      }
    }
  }
  return dense(q.shape, out)
}

/** Rows of `width` values normalised by mean and variance (`rms`: by the mean square alone). */
function normalise(values: readonly number[], eps: number, rms: boolean): number[] {
  const mean = rms ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
  return values.map((value) => (value - mean) / Math.sqrt(variance + eps))
}

export function layerNorm(
  x: Dense,
  weight: Dense | undefined,
  bias: Dense | undefined,
  eps: number,
  rms = false,
): Dense {
  const c = last(x.shape)
  const out = new Float64Array(x.data.length)
  for (let row = 0; row < out.length; row += c) {
    normalise([...x.data.subarray(row, row + c)], eps, rms).forEach((value, i) => {
      out[row + i] = value * (weight ? at(weight, i) : 1) + (bias ? at(bias, i) : 0)
    })
  }
  return dense(x.shape, out)
}

export function groupNorm(
  x: Dense,
  weight: Dense | undefined,
  bias: Dense | undefined,
  groups: number,
  eps: number,
): Dense {
  const c = last(x.shape)
  const size = c / groups
  const out = new Float64Array(x.data.length)
  for (let group = 0; group < groups; group++) {
    const indices = [...x.data.keys()].filter((index) => Math.floor((index % c) / size) === group)
    const values = normalise(
      indices.map((index) => at(x, index)),
      eps,
      false,
    )
    indices.forEach((index, i) => {
      out[index] = (values[i] ?? 0) * (weight ? at(weight, index % c) : 1) + (bias ? at(bias, index % c) : 0)
    })
  }
  return dense(x.shape, out)
}

export function softmax(x: Dense): Dense {
  const c = last(x.shape)
  const out = new Float64Array(x.data.length)
  for (let row = 0; row < out.length; row += c) {
    const values = [...x.data.subarray(row, row + c)]
    const most = Math.max(...values)
    const total = values.reduce((sum, value) => sum + Math.exp(value - most), 0)
    values.forEach((value, i) => {
      out[row + i] = Math.exp(value - most) / total
    })
  }
  return dense(x.shape, out)
}

export function embedding(ids: Dense, table: Dense): Dense {
  const [, width = 0] = table.shape
  return dense(
    [ids.data.length, width],
    Float64Array.from([...ids.data].flatMap((id) => [...table.data.subarray(id * width, (id + 1) * width)])),
  )
}

export function resizeNearest(x: Dense, size: Shape): Dense {
  const [h = 0, w = 0, c = 0] = x.shape
  const [outH = 0, outW = 0] = size
  const out = new Float64Array(outH * outW * c)
  for (let i = 0; i < out.length; i++) {
    const pixel = Math.floor(i / c)
    const y = Math.floor((Math.floor(pixel / outW) * h) / outH)
    const z = Math.floor(((pixel % outW) * w) / outW)
    out[i] = at(x, (y * w + z) * c + (i % c))
  }
  return dense([outH, outW, c], out)
}

export function resizeBilinear(x: Dense, size: Shape, alignCorners: boolean): Dense {
  const [h = 0, w = 0, c = 0] = x.shape
  const [outH = 0, outW = 0] = size
  const source = (i: number, from: number, to: number) =>
    alignCorners ? (to === 1 ? 0 : (i * (from - 1)) / (to - 1)) : Math.max(0, ((i + 0.5) * from) / to - 0.5)
  const out = new Float64Array(outH * outW * c)
  for (let i = 0; i < out.length; i++) {
    const pixel = Math.floor(i / c)
    const y = source(Math.floor(pixel / outW), h, outH)
    const z = source(pixel % outW, w, outW)
    const [y0, z0] = [Math.floor(y), Math.floor(z)]
    const [y1, z1] = [Math.min(y0 + 1, h - 1), Math.min(z0 + 1, w - 1)]
    const value = (a: number, b: number) => at(x, (a * w + b) * c + (i % c))
    const top = value(y0, z0) * (1 - (z - z0)) + value(y0, z1) * (z - z0)
    const bottom = value(y1, z0) * (1 - (z - z0)) + value(y1, z1) * (z - z0)
    out[i] = top * (1 - (y - y0)) + bottom * (y - y0)
  }
  return dense([outH, outW, c], out)
}

/** The angles in the float32 steps of PyTorch, which are part of the op; their sines and cosines in float64. */
export function timestepEmbedding(
  t: number,
  dim: number,
  flip: boolean,
  shift: number,
  scale: number,
  maxPeriod: number,
): Dense {
  const half = dim / 2
  const { fround } = Math
  const angles = Array.from({ length: half }, (_, i) => {
    const exponent = fround(fround(fround(-Math.log(maxPeriod)) * i) / fround(half - shift))
    return fround(fround(scale) * fround(fround(t) * fround(Math.exp(exponent))))
  })
  const [sines, cosines] = [angles.map(Math.sin), angles.map(Math.cos)]
  return dense([dim], Float64Array.from(flip ? [...cosines, ...sines] : [...sines, ...cosines]))
}

/** One element-wise op on one number. */
export function elementwise(op: EpilogueName, v: number, b: number): number {
  switch (op) {
    case 'add':
    case 'offset':
      return v + b
    case 'sub':
      return v - b
    case 'mul':
    case 'scale':
      return v * b
    case 'mul_one_plus':
      return v * (1 + b)
    case 'prelu':
    case 'leaky_relu':
      return v < 0 ? v * b : v
    case 'silu':
      return v / (1 + Math.exp(-v))
    case 'gelu':
      return 0.5 * v * (1 + erf(v / Math.SQRT2))
    case 'gelu_tanh':
      return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))
    case 'quick_gelu':
      return v / (1 + Math.exp(-1.702 * v))
    case 'relu':
      return Math.max(v, 0)
    case 'tanh':
      return Math.tanh(v)
    case 'sigmoid':
      return 1 / (1 + Math.exp(-v))
    case 'exp':
      return Math.exp(v)
    default:
      return op satisfies never
  }
}

/** v op b over v's shape; b has as many elements, one per channel, or one. */
export function broadcast(op: EpilogueName, v: Dense, b: Dense | number): Dense {
  const channels = last(v.shape)
  const other = (index: number) => {
    if (typeof b === 'number') return b
    if (b.data.length === v.data.length) return at(b, index)
    if (b.data.length === 1) return at(b, 0)
    if (elements(b.shape) !== channels) throw new RangeError(`cannot broadcast [${b.shape}] over [${v.shape}]`)
    return at(b, index % channels)
  }
  return dense(
    v.shape,
    v.data.map((value, index) => elementwise(op, value, other(index))),
  )
}

/** erf by its series for small and its continued fraction for large arguments; good to 1e-15. */
export function erf(x: number): number {
  const a = Math.abs(x)
  if (a < 3) {
    let term = a
    let sum = a
    for (let n = 1; n < 200 && Math.abs(term) > 1e-18; n++) {
      term *= (-a * a) / n
      sum += term / (2 * n + 1)
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI)
  }
  let fraction = 0
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction)
  return Math.sign(x) * (1 - Math.exp(-a * a) / ((a + fraction) * Math.sqrt(Math.PI)))
}
