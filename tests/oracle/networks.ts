/** Small graphs in the manner of real networks, and random ones, for tests of the compiler. */

import { type Graph, graph } from '../../src/graph/graph'
import * as ops from '../../src/graph/ops'
import { tensorRecipe } from '../../src/graph/recipe'
import { input, param, type Value } from '../../src/graph/value'
import type { Shape } from '../../src/tensor/shape'
import { normals, type Random } from './random'

/** A checkpoint tensor of that name. */
export function weight(name: string, shape: Shape): Value {
  return param(tensorRecipe(name, shape), shape, name)
}

/** A linear layer with weights of its own. */
export function dense(at: string, x: Value, out: number, bias = true): Value {
  return ops.linear(
    at,
    x,
    weight(`${at}.weight`, [out, x.shape.at(-1) ?? 0]),
    bias ? weight(`${at}.bias`, [out]) : undefined,
  )
}

/** A 3 × 3 convolution that keeps the size. */
export function conv(at: string, x: Value, out: number): Value {
  return ops.conv2d(at, x, weight(`${at}.weight`, [out, 3, 3, x.shape[2] ?? 0]), weight(`${at}.bias`, [out]), {
    padding: 1,
  })
}

/** What a network is run with: normal numbers, ids below 4, lengths of at least 1. */
export function drawInput(name: string, count: number, dtype: 'f32' | 'i32'): ArrayLike<number> {
  const values = normals(name, count)
  if (dtype === 'f32') return values
  return Int32Array.from(values, (value) => 1 + (Math.floor(Math.abs(value) * 10) % 3))
}

/** PixArt in small: patches, time modulation, self- and cross-attention, MLP, unpatchify. */
export function transformer({ blocks = 2, size = 4, width = 8, heads = 2, tokens = 5 } = {}): Graph {
  const sample = input('sample', 'latent', { shape: [size, size, 3], dtype: 'f32', axes: ['h', 'w', 'C'] })
  const text = input('encoder_hidden_states', 'prompt', { shape: [tokens, 6], dtype: 'f32', axes: ['L', 'D'] })
  const length = input('encoder_length', 'prompt', { shape: [1], dtype: 'i32', axes: ['_'] })
  const timestep = input('timestep', 'step', { shape: [1], dtype: 'f32', axes: ['_'] })
  const grid = size / 2

  const sinusoid = ops.timestepEmbedding('time_proj', ops.scale('time_proj.scale', timestep, 1000), 4, { flip: true })
  const time = dense('time.linear_2', ops.silu('time.act', dense('time.linear_1', sinusoid, width)), width)
  const modulation = ops.reshape(
    'adaln',
    dense('adaln.linear', ops.silu('adaln.silu', time), 6 * width),
    [6, width],
    ['s', 'D'],
  )
  const caption = dense('caption.linear_2', ops.geluTanh('caption.act', dense('caption.linear_1', text, width)), width)

  const patches = ops.conv2d(
    'pos_embed.proj',
    sample,
    weight('pos_embed.proj.weight', [width, 2, 2, 3]),
    weight('pos_embed.proj.bias', [width]),
    { stride: 2 },
  )
  let x = ops.reshape('pos_embed.flatten', patches, [grid * grid, width], ['L', 'D'])
  x = ops.add('pos_embed', x, weight('pos_embed.table', [grid * grid, width]))
  for (let block = 0; block < blocks; block++) {
    const at = `blocks.${block}`
    const table = ops.add(`${at}.adaln`, weight(`${at}.scale_shift_table`, [6, width]), modulation)
    const [shift1, scale1, gate1, shift2, scale2, gate2] = ops.chunk(`${at}.chunk`, table, 6, 0)
    if (!shift1 || !scale1 || !gate1 || !shift2 || !scale2 || !gate2) throw new RangeError('six chunks')
    const normal = ops.modulate(`${at}.modulate1`, ops.layerNorm(`${at}.norm1`, x, { eps: 1e-6 }), shift1, scale1)
    const self = ops.attention(
      `${at}.attn1`,
      dense(`${at}.attn1.to_q`, normal, width),
      dense(`${at}.attn1.to_k`, normal, width),
      dense(`${at}.attn1.to_v`, normal, width, false),
      { heads },
    )
    x = ops.add(`${at}.residual1`, x, ops.mul(`${at}.gate1`, dense(`${at}.attn1.to_out`, self, width), gate1))
    const cross = ops.attention(
      `${at}.attn2`,
      dense(`${at}.attn2.to_q`, x, width),
      dense(`${at}.attn2.to_k`, caption, width),
      dense(`${at}.attn2.to_v`, caption, width),
      { heads, kvLength: length },
    )
    x = ops.add(`${at}.residual2`, dense(`${at}.attn2.to_out`, cross, width), x)
    const second = ops.modulate(`${at}.modulate2`, ops.layerNorm(`${at}.norm2`, x, { eps: 1e-6 }), shift2, scale2)
    const mlp = dense(`${at}.ff.2`, ops.geluTanh(`${at}.ff.act`, dense(`${at}.ff.0`, second, 4 * width)), width)
    x = ops.add(`${at}.residual3`, x, ops.mul(`${at}.gate2`, mlp, gate2))
  }
  const out = dense('proj_out', ops.layerNorm('norm_out', x, { eps: 1e-6 }), 2 * 2 * 4)
  const picture = ops.depthToSpace(
    'unpatchify',
    ops.reshape('unpatchify.grid', out, [grid, grid, 16], ['h', 'w', 'C']),
    2,
  )
  return graph('transformer', { sample: picture })
}

/** A UNet's ways in small: group norm, time in the residual block, skip by concat, down and up. */
export function unet({ size = 4, width = 8 } = {}): Graph {
  const sample = input('sample', 'latent', { shape: [size, size, 2], dtype: 'f32', axes: ['h', 'w', 'C'] })
  const hint = input('hint', 'image', { shape: [size, size, 3], dtype: 'f32', axes: ['h', 'w', 'C'] })
  const label = input('class_labels', 'prompt', { shape: [1], dtype: 'i32', axes: ['_'] })
  const timestep = input('timestep', 'step', { shape: [1], dtype: 'f32', axes: ['_'] })
  const time = dense('time.linear', ops.timestepEmbedding('time.proj', timestep, 6, { shift: 1 }), width)
  const labels = ops.reshape(
    'label.row',
    ops.embedding('label', label, weight('label.weight', [4, width])),
    [width],
    ['D'],
  )
  const embedding = ops.silu('emb.silu', ops.add('emb', time, labels))
  const resnet = (at: string, x: Value): Value => {
    const h = conv(`${at}.conv1`, ops.silu(`${at}.act1`, norm(`${at}.norm1`, x)), width)
    const timed = ops.add(`${at}.time`, h, dense(`${at}.time_emb_proj`, embedding, width))
    const second = conv(`${at}.conv2`, ops.silu(`${at}.act2`, norm(`${at}.norm2`, timed)), width)
    const shortcut =
      x.shape[2] === width
        ? x
        : ops.conv2d(`${at}.shortcut`, x, weight(`${at}.shortcut.weight`, [width, 1, 1, x.shape[2] ?? 0]))
    return ops.add(`${at}.residual`, shortcut, second)
  }
  const norm = (at: string, x: Value) =>
    ops.groupNorm(at, x, 2, {
      eps: 1e-5,
      weight: weight(`${at}.weight`, [x.shape[2] ?? 0]),
      bias: weight(`${at}.bias`, [x.shape[2] ?? 0]),
    })
  const first = ops.add(
    'hint.add',
    conv('conv_in', sample, width),
    conv('hint.conv', ops.relu('hint.act', conv('hint.in', hint, width)), width),
  )
  const one = resnet('down.0', first)
  const down = ops.conv2d(
    'down.0.sample',
    one,
    weight('down.0.sample.weight', [width, 3, 3, width]),
    weight('down.0.sample.bias', [width]),
    { stride: 2, padding: [0, 0, 1, 1] },
  )
  const middle = resnet('mid', down)
  const up = ops.resizeNearest('up.0.sample', middle, [size, size])
  const joined = ops.concat('up.0.skip', [up, one], -1)
  const last = resnet('up.0', joined)
  return graph('unet', { sample: conv('conv_out', ops.silu('act_out', norm('norm_out', last)), 2), middle })
}

/** A random graph over inputs of every kind: element-wise ops, projections, views, joins, norms, attention, pictures. */
export function randomGraph(source: Random): Graph {
  const length = 2 * (1 + source.below(2))
  const width = 4 * (1 + source.below(2))
  const kinds = ['prompt', 'image', 'step', 'latent'] as const
  const values: Value[] = kinds.map((kind) =>
    input(kind, kind, { shape: [length, width], dtype: 'f32', axes: ['L', 'D'] }),
  )
  values.push(weight('table', [length, width]))
  const tokens = (value: Value): Value =>
    value.shape.length === 2 && value.shape[0] === length && value.shape[1] === width
      ? value
      : ops.reshape('again', value, [length, width])
  const any = () => source.pick(values)
  const count = 6 + source.below(18)
  for (let i = 0; i < count; i++) values.push(step(i))
  const outputs = { y: source.pick(values.slice(-3)), z: any(), x: values.at(-1) ?? any() }
  return graph('random', outputs)

  function step(i: number): Value {
    const at = `n${i}`
    const x = any()
    switch (source.below(18)) {
      case 0:
        return ops.add(at, x, any())
      case 1:
        return ops.mul(at, x, ops.slice(`${at}.row`, any(), 0, source.below(length), 1))
      case 2:
        return ops.modulate(
          at,
          x,
          ops.slice(`${at}.shift`, any(), 0, 0, 1),
          ops.slice(`${at}.scale`, any(), 0, length - 1, 1),
        )
      case 3:
      case 4:
        return dense(at, x, width, source.below(2) === 0)
      case 5:
        return ops.activation(at, x, source.pick(['silu', 'gelu', 'gelu_tanh', 'relu', 'tanh', 'sigmoid'] as const))
      case 6:
        return ops.layerNorm(at, x, {
          eps: 1e-5,
          ...(source.below(2) === 0 ? { weight: weight(`${at}.weight`, [width]) } : {}),
        })
      case 7:
        return ops.attention(at, x, any(), any(), { heads: 2, causal: source.below(2) === 0 })
      case 8: {
        const axis = source.below(2)
        const half = (value: Value, part: number) =>
          ops.slice(`${at}.${part}`, value, axis, part * ((value.shape[axis] ?? 0) / 2), (value.shape[axis] ?? 0) / 2)
        return ops.concat(at, [half(x, source.below(2)), half(any(), source.below(2))], axis)
      }
      case 9:
        return ops.sub(at, x, ops.scale(`${at}.half`, any(), 0.5))
      case 10:
        return tokens(ops.permute(at, ops.reshape(`${at}.split`, x, [length, 2, width / 2]), [1, 0, 2]))
      case 11:
        return ops.offset(at, x, source.normal())
      case 12:
        return tokens(
          ops.conv2d(
            at,
            ops.reshape(`${at}.picture`, x, [length, 2, width / 2]),
            weight(`${at}.weight`, [width / 2, 3, 3, width / 2]),
            undefined,
            { padding: 1 },
          ),
        )
      case 13:
        return tokens(
          ops.pixelShuffle(
            at,
            ops.pixelUnshuffle(`${at}.un`, ops.reshape(`${at}.picture`, x, [length, 2, width / 2]), 2),
            2,
          ),
        )
      case 14:
        return ops.prelu(at, x, weight(`${at}.slope`, [width]))
      case 15: {
        // a join along an inner axis
        const cube = (value: Value, name: string) => ops.reshape(`${at}.${name}`, value, [2, length / 2, width])
        const part = (value: Value) => ops.slice(`${at}.part`, value, 1, 0, length / 2)
        const joined = ops.concat(at, [part(cube(x, 'a')), part(cube(any(), 'b'))], 1)
        return ops.reshape(`${at}.flat`, ops.slice(`${at}.half`, joined, 1, source.below(2), length / 2), [
          length,
          width,
        ])
      }
      case 16: {
        // a join along an inner axis that is itself part of a join
        const cube = (value: Value, name: string) => ops.reshape(`${at}.${name}`, value, [2, length / 2, width])
        const inner = ops.concat(`${at}.inner`, [cube(x, 'a'), cube(ops.relu(`${at}.relu`, any()), 'b')], 1)
        const outer = ops.concat(
          `${at}.outer`,
          [inner, inner, ops.concat(`${at}.once`, [cube(any(), 'c'), cube(any(), 'd')], 1)],
          -1,
        )
        const part = ops.slice(`${at}.part`, ops.slice(`${at}.half`, outer, 1, 0, length / 2), -1, 2 * width - 2, width)
        return ops.reshape(`${at}.flat`, part, [length, width])
      }
      default:
        return ops.add(at, dense(`${at}.a`, x, width), dense(`${at}.b`, any(), width))
    }
  }
}
