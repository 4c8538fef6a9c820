/** Which form each product gets: from shapes, types and capabilities alone. */

import { describe, expect, test } from 'vitest'
import type { Capabilities } from '../../../src/compile/capabilities'
import { compile, type NetworkDType } from '../../../src/compile/compile'
import { KERNELS } from '../../../src/compile/kernels'
import type { Quantization } from '../../../src/compile/passes/quantize'
import { printProgram } from '../../../src/compile/print'
import { graph } from '../../../src/graph/graph'
import { conv2d, groupNorm, linear, resizeNearest, silu } from '../../../src/graph/ops'
import { input, type Value } from '../../../src/graph/value'
import type { Shape } from '../../../src/tensor/shape'
import { ORACLE } from '../../oracle/capabilities'
import { weight } from '../../oracle/networks'

const DEVICE: Capabilities = {
  ...ORACLE,
  winogradTiles: [2, 4],
  winogradDtypes: ['f32', 'f16'],
  strassenDtypes: ['f32', 'f16'],
  upsampledConv2d: true,
}

const picture = (...shape: number[]): Value => input('x', 'latent', { shape, dtype: 'f32', axes: ['h', 'w', 'C'] })

function conv(x: Value, outputs: number, padding: number | readonly [number, number, number, number] = 1): Value {
  return conv2d('conv', x, weight('conv.weight', [outputs, 3, 3, x.shape.at(-1) ?? 0]), undefined, { padding })
}

interface Form {
  readonly upsample: number
  readonly tile: number
  readonly packing: string
  readonly kernels: readonly string[]
}

/** The form of the graph's convolution, and the kernels of its program. */
async function formOf(
  y: Value,
  capabilities: Capabilities,
  dtype: NetworkDType = 'f32',
  optimise = true,
): Promise<Form> {
  const { parts } = await compile(graph('g', { y }), capabilities, { dtype, optimise })
  const program = parts.at(-1)?.payload.program
  const step = program?.steps.find(({ kernel }) => kernel === 'conv2d')
  const [upsample = 0, tile = 0] = step?.attrs.slice(-3, -1) ?? []
  const packing = program?.params[0]?.packing ?? 'none'
  return { upsample, tile, packing, kernels: program?.steps.map(({ kernel }) => kernel) ?? [] }
}

describe('Winograd', () => {
  const tileOf = async (shape: Shape, outputs: number, dtype: NetworkDType = 'f32', capabilities = DEVICE) =>
    (await formOf(conv(picture(...shape), outputs), capabilities, dtype)).tile

  test('large tiles from 256 pixels on, small ones from 64 on', async () => {
    expect(await tileOf([16, 16, 32], 32)).toBe(4)
    expect(await tileOf([15, 17, 32], 32)).toBe(2)
    expect(await tileOf([8, 8, 1280], 1280)).toBe(2)
    expect(await tileOf([7, 9, 1280], 1280)).toBe(0)
  })
  test('not for few channels or outputs', async () => {
    expect(await tileOf([64, 64, 4], 320)).toBe(0)
    expect(await tileOf([64, 64, 320], 4)).toBe(0)
  })
  test('only with tiles and types of the device', async () => {
    expect(await tileOf([64, 64, 64], 64, 'f16')).toBe(4)
    expect(await tileOf([64, 64, 64], 64, 'bf16')).toBe(0)
    expect(await tileOf([64, 64, 64], 64, 'f32', { ...DEVICE, winogradTiles: [2] })).toBe(2)
    expect(await tileOf([64, 64, 64], 64, 'f32', ORACLE)).toBe(0)
  })
  test('other strides and kernels are sums', async () => {
    const x = picture(32, 32, 64)
    const strided = conv2d('conv', x, weight('w', [64, 3, 3, 64]), undefined, { stride: 2, padding: 1 })
    const wide = conv2d('conv', x, weight('w', [64, 5, 5, 64]), undefined, { padding: 2 })
    expect((await formOf(strided, DEVICE)).tile).toBe(0)
    expect((await formOf(wide, DEVICE)).tile).toBe(0)
  })
  test('the plain program has none', async () => {
    expect(await formOf(conv(picture(16, 16, 32), 32), DEVICE, 'f32', false)).toMatchObject({ tile: 0, upsample: 1 })
  })
})

describe('doubled pictures', () => {
  const doubled = (x: Value) => resizeNearest('up', x, [2 * (x.shape[0] ?? 0), 2 * (x.shape[1] ?? 0)])

  test('are never written: a large one goes through tiles, over plain weights', async () => {
    const form = await formOf(conv(doubled(picture(16, 16, 64)), 64), DEVICE)
    expect(form).toEqual({ upsample: 2, tile: 2, packing: 'gemm', kernels: ['conv2d'] })
  })
  test('small ones, and types without tiles, take folded weights', async () => {
    const folded = { upsample: 2, tile: 0, packing: 'upsample' }
    expect(await formOf(conv(doubled(picture(8, 8, 64)), 64), DEVICE)).toMatchObject(folded)
    expect(await formOf(conv(doubled(picture(16, 16, 64)), 64), DEVICE, 'bf16')).toMatchObject(folded)
  })
  test('a picture that something else reads too stays', async () => {
    const up = doubled(picture(16, 16, 64))
    const { parts } = await compile(graph('g', { y: conv(up, 64), up }), DEVICE)
    const kernels = parts[0]?.payload.program.steps.map(({ kernel }) => kernel)
    expect(kernels).toContain('resize_nearest')
  })
  test('other sizes, paddings and work in between stay', async () => {
    const x = picture(16, 16, 64)
    for (const y of [
      conv(resizeNearest('up', x, [48, 48]), 64),
      conv(resizeNearest('up', x, [32, 16]), 64),
      conv(doubled(x), 64, [0, 1, 0, 1]),
      conv(silu('act', doubled(x)), 64),
    ]) {
      expect(await formOf(y, DEVICE)).toMatchObject({ upsample: 1, kernels: ['resize_nearest', 'conv2d'] })
    }
  })
  test('a device that cannot keeps both steps', async () => {
    const form = await formOf(conv(doubled(picture(16, 16, 64)), 64), { ...DEVICE, upsampledConv2d: false })
    expect(form).toEqual({ upsample: 1, tile: 4, packing: 'gemm', kernels: ['resize_nearest', 'conv2d'] })
  })
  test('the program reads as it should', async () => {
    const x = groupNorm('norm', picture(16, 16, 32), 4, { eps: 1e-5 })
    const { parts } = await compile(graph('g', { y: silu('act', conv(doubled(x), 32)) }), DEVICE)
    expect(`\n${parts.map((part) => printProgram(part.payload.program)).join()}`).toMatchInlineSnapshot(`
      "
      program g/row: arena 32768
      p0 gemm f32 [32, 288] reshape([32, 288]; conv.weight[32, 3, 3, 32])
      b0 f32 [16, 16, 32] input 0 x
      b1 f32 [32, 32, 32] output 0 y
      b2 f32 [16, 16, 32] arena @0 norm
      b3 f32 [32, 288] param 0 conv.weight
      input x b0
      output y b1
      group_norm b2 = (b0, -, -) {groups 4, eps 0.00001, rowBlock 256} at norm
      conv2d b1 = (b2, b3, -) {kernelH 3, kernelW 3, strideH 1, strideW 1, padTop 1, padLeft 1, padBottom 1, padRight 1, splits 1, kBlock 288, upsample 2, tile 2, quantizeX 0} silu at conv
      "
    `)
  })
})

describe('Strassen', () => {
  const strassenOf = async (
    [vectors, terms, outputs]: readonly [number, number, number],
    dtype: NetworkDType = 'f32',
    { capabilities = DEVICE, optimise = true, quantize = 'none' as Quantization } = {},
  ) => {
    const x = input('x', 'latent', { shape: [vectors, terms], dtype: 'f32', axes: ['L', 'D'] })
    const narrow = linear('first', x, weight('first.weight', [terms, terms]))
    const y = linear('second', narrow, weight('second.weight', [outputs, terms]))
    const last = linear('last', y, weight('last.weight', [8, outputs]))
    const { parts } = await compile(graph('g', { y: last }), capabilities, { dtype, optimise, quantize })
    const step = parts.at(-1)?.payload.program.steps.find(({ at }) => at === 'second')
    return step?.attrs.at(KERNELS.matmul.attrs.indexOf('strassen'))
  }

  test('from 256 vectors, 1024 terms and 512 outputs on', async () => {
    expect(await strassenOf([256, 1024, 512])).toBe(1)
    expect(await strassenOf([254, 1024, 512])).toBe(0)
    expect(await strassenOf([256, 992, 512])).toBe(0)
    expect(await strassenOf([256, 1024, 480])).toBe(0)
  })
  test('only of whole halves', async () => {
    expect(await strassenOf([257, 1024, 512])).toBe(0)
    expect(await strassenOf([258, 1040, 512])).toBe(0)
    expect(await strassenOf([258, 1056, 520])).toBe(0)
    expect(await strassenOf([258, 1056, 544])).toBe(1)
  })
  test('only in types for which the device has it, and in optimised programs', async () => {
    expect(await strassenOf([256, 1024, 512], 'f16')).toBe(1)
    expect(await strassenOf([256, 1024, 512], 'bf16')).toBe(0)
    expect(await strassenOf([256, 1024, 512], 'f32', { capabilities: ORACLE })).toBe(0)
    expect(await strassenOf([256, 1024, 512], 'f32', { optimise: false })).toBe(0)
  })
  test('not over int8', async () => {
    const capabilities: Capabilities = { ...DEVICE, int8Products: ['matmul'] }
    expect(await strassenOf([256, 1024, 512], 'f32', { capabilities, quantize: 'int8' })).toBe(0)
    expect(await strassenOf([256, 1024, 512], 'f32', { capabilities, quantize: 'int8-weights' })).toBe(0)
    expect(await strassenOf([256, 1024, 512], 'f32', { capabilities, quantize: 'bf16-weights' })).toBe(1)
  })
})
