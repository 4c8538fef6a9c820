/** Which products are computed over int8: from the graph, one row's shape and the device's capabilities alone. */

import { describe, expect, test } from 'vitest'
import type { Capabilities } from '../../../src/compile/capabilities'
import { compile } from '../../../src/compile/compile'
import type { Quantization } from '../../../src/compile/passes/quantize'
import { printProgram } from '../../../src/compile/print'
import { isProduct } from '../../../src/compile/stepCost'
import { graph } from '../../../src/graph/graph'
import { add, conv2d, gelu, layerNorm, reshape, resizeNearest, silu, timestepEmbedding } from '../../../src/graph/ops'
import { input, type Value } from '../../../src/graph/value'
import type { Shape } from '../../../src/tensor/shape'
import { ORACLE } from '../../oracle/capabilities'
import { conv, dense, weight } from '../../oracle/networks'

const DEVICE: Capabilities = {
  ...ORACLE,
  winogradTiles: [2, 4],
  winogradDtypes: ['f32'],
  upsampledConv2d: true,
  int8Products: ['matmul', 'conv2d'],
}

const tokens = (...shape: number[]): Value => input('x', 'latent', { shape, dtype: 'f32', axes: ['L', 'D'] })
const picture = (...shape: number[]): Value => input('x', 'latent', { shape, dtype: 'f32', axes: ['h', 'w', 'C'] })

/** Products in all parts by path: `int8`, `weights` or the type of the weights. */
async function productsOf(
  outputs: Readonly<Record<string, Value>>,
  quantize: Quantization,
  capabilities: Capabilities = DEVICE,
): Promise<Record<string, string>> {
  const { parts } = await compile(graph('g', outputs), capabilities, { quantize })
  return Object.fromEntries(
    parts.flatMap(({ payload: { program } }) =>
      program.steps
        .filter(({ kernel }) => isProduct(kernel))
        .map(({ at, attrs, operands }) => {
          const { dtype = '' } = program.buffers[operands[1] ?? -1] ?? {}
          return [at, attrs.at(-1) === 32 ? 'int8' : dtype === 'i8' ? 'weights' : dtype]
        }),
    ),
  )
}

/** first -> a -> b -> last */
function chain([rows = 0, features = 0]: Shape, width = 128, inner = 256): Record<string, Value> {
  const first = dense('first', tokens(rows, features), width)
  const b = dense('b', gelu('act', dense('a', first, inner)), width)
  return { y: dense('last', add('sum', first, b), features) }
}

describe('matmuls', () => {
  test('none without the option', async () => {
    expect(new Set(Object.values(await productsOf(chain([64, 16]), 'none')))).toEqual(new Set(['f32']))
  })
  test('all but the first and the last', async () => {
    expect(await productsOf(chain([64, 16]), 'int8')).toEqual({ first: 'f32', a: 'int8', b: 'int8', last: 'f32' })
    expect(await productsOf(chain([64, 16]), 'int8-weights')).toEqual({
      first: 'f32',
      a: 'weights',
      b: 'weights',
      last: 'f32',
    })
  })
  test('however wide those two are', async () => {
    const products = await productsOf(chain([64, 512]), 'int8')
    expect(products).toMatchObject({ first: 'f32', last: 'f32' })
  })
  test('not small ones', async () => {
    expect(await productsOf(chain([15, 16]), 'int8')).toMatchObject({ a: 'f32', b: 'f32' })
    expect(await productsOf(chain([64, 16], 63), 'int8')).toMatchObject({ a: 'f32', b: 'f32' })
    expect(await productsOf(chain([64, 16], 128, 63), 'int8')).toMatchObject({ a: 'f32', b: 'f32' })
  })
  test('not what depends on the timestep or the prompt alone', async () => {
    const time = timestepEmbedding('time', input('t', 'step', { shape: [1], dtype: 'f32', axes: ['_'] }), 128)
    const text = input('text', 'prompt', { shape: [77, 128], dtype: 'f32', axes: ['T', 'D'] })
    const told = dense('time.2', silu('silu', dense('time.1', time, 128)), 128)
    const keys = dense('text.2', dense('text.1', text, 128), 128)
    const x = dense('first', tokens(77, 16), 128)
    const inner = dense('inner', add('told', add('seen', x, keys), told), 128)
    const products = await productsOf({ y: dense('last', inner, 16) }, 'int8')
    expect(products).toEqual({
      'time.1': 'f32',
      'time.2': 'f32',
      'text.1': 'f32',
      'text.2': 'f32',
      first: 'f32',
      inner: 'int8',
      last: 'f32',
    })
  })
  test('not what reads a sum of branches, unless a norm stands between, nor what branches are added to', async () => {
    const first = dense('first', tokens(64, 16), 128)
    const base = dense('base', gelu('act', first), 128)
    const sum = add('sum', base, dense('branch', layerNorm('inner', base, { eps: 1e-6 }), 128))
    const read = dense('read', layerNorm('norm', sum, { eps: 1e-6 }), 128)
    const {
      base: begun,
      branch,
      raw,
      read: normed,
    } = await productsOf(
      { y: dense('last', add('both', read, dense('raw', reshape('same', sum, [64, 128]), 128)), 16) },
      'int8',
    )
    expect({ begun, branch, raw, normed }).toEqual({ begun: 'f32', branch: 'int8', raw: 'f32', normed: 'int8' })
  })
  test('x is quantised only where the device gains by it, weights alone always', async () => {
    const able = { ...DEVICE, int8Products: [] }
    expect(await productsOf(chain([64, 16]), 'int8', able)).toMatchObject({ a: 'f32', b: 'f32' })
    expect(await productsOf(chain([64, 16]), 'int8-weights', able)).toMatchObject({ a: 'weights', b: 'weights' })
  })
})

describe('convolutions', () => {
  const network = (inner: (x: Value) => Value, channels = 64) => ({
    y: conv('last', inner(conv('first', picture(16, 16, 4), channels)), 4),
  })
  test('in one sum, or as Winograd over int8 weights', async () => {
    const inner = (x: Value) => conv('inner', x, 64)
    expect(await productsOf(network(inner), 'int8')).toEqual({ first: 'f32', inner: 'int8', last: 'f32' })
    const { parts } = await compile(graph('g', network(inner)), DEVICE, { quantize: 'int8-weights' })
    const step = parts[0]?.payload.program.steps.find(({ at }) => at === 'inner')
    expect(step?.attrs.slice(-3)).toEqual([1, 4, 0])
  })
  test('not where matmuls alone gain', async () => {
    const products = await productsOf(
      network((x) => conv('inner', x, 64)),
      'int8',
      { ...DEVICE, int8Products: ['matmul'] },
    )
    expect(products.inner).toBe('f32')
  })
  test('not of channels that are no whole groups', async () => {
    expect(
      await productsOf(
        network((x) => conv('inner', x, 64), 66),
        'int8',
      ),
    ).toMatchObject({ inner: 'f32' })
  })
  test('doubled pictures keep their form', async () => {
    const up = (x: Value) => conv('inner', resizeNearest('up', x, [32, 32]), 64)
    expect(await productsOf(network(up), 'int8')).toMatchObject({ inner: 'f32' })
    expect(await productsOf(network(up), 'int8-weights')).toMatchObject({ inner: 'weights' })
    const small = { ...DEVICE, winogradTiles: [] } // over folded weights
    expect(await productsOf(network(up), 'int8-weights', small)).toMatchObject({ inner: 'f32' })
  })
  test('of any kernel and stride', async () => {
    const strided = (x: Value) => conv2d('inner', x, weight('w', [64, 5, 3, 64]), undefined, { stride: 2, padding: 1 })
    expect(await productsOf(network(strided), 'int8')).toMatchObject({ inner: 'int8' })
  })
})

test('the program reads as it should', async () => {
  const { parts } = await compile(graph('g', chain([16, 8], 64, 64)), DEVICE, { quantize: 'int8' })
  expect(`\n${parts.map((part) => printProgram(part.payload.program)).join()}`).toMatchInlineSnapshot(`
    "
    program g/row: arena 12288
    p0 gemm f32 [64, 8] first.weight[64, 8]
    p1 plain f32 [64] first.bias[64]
    p2 gemm i8 [64, 64] a.weight[64, 64]
    p3 plain f32 [64] a.bias[64]
    p4 gemm i8 [64, 64] b.weight[64, 64]
    p5 plain f32 [64] b.bias[64]
    p6 gemm f32 [8, 64] last.weight[8, 64]
    p7 plain f32 [8] last.bias[8]
    b0 f32 [16, 8] input 0 x
    b1 f32 [16, 8] output 0 y
    b2 f32 [64, 8] param 0 first.weight
    b3 f32 [64] param 1 first.bias
    b4 f32 [16, 64] arena @0 first
    b5 i8 [64, 64] param 2 a.weight
    b6 f32 [64] param 3 a.bias
    b7 f32 [16, 64] arena @4096 act
    b8 i8 [64, 64] param 4 b.weight
    b9 f32 [64] param 5 b.bias
    b10 f32 [16, 64] arena @8192 sum
    b11 f32 [8, 64] param 6 last.weight
    b12 f32 [8] param 7 last.bias
    input x b0
    output y b1
    matmul b4 = (b0, b2, b3) {splits 1, kBlock 8, strassen 0, quantizeX 0} at first
    matmul b7 = (b4, b5, b6) {splits 1, kBlock 64, strassen 0, quantizeX 32} gelu at a
    matmul b10 = (b7, b8, b9) {splits 1, kBlock 64, strassen 0, quantizeX 32} add b4 at b
    matmul b1 = (b10, b11, b12) {splits 1, kBlock 64, strassen 0, quantizeX 0} at last
    "
  `)
})

test('an unknown word is refused', async () => {
  const options = { quantize: 'int4' } as unknown as { quantize: Quantization }
  await expect(compile(graph('g', chain([16, 8])), DEVICE, options)).rejects.toMatchObject({ code: 'invalid-option' })
})
