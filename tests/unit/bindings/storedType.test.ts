/** Matrices of float32 networks stay in the 16-bit type of their files: less memory, the same bits. */
import { afterAll, describe, expect, it } from 'vitest'
import { type Device, DeviceWeights, loadNetwork, openDevice, readSafetensorsIndex } from '../../../src/bindings'
import { storedType } from '../../../src/bindings/storedType'
import type { ParamSpec } from '../../../src/compile'
import type { Quantization } from '../../../src/compile/passes/quantize'
import { type Graph, graph } from '../../../src/graph/graph'
import * as ops from '../../../src/graph/ops'
import {
  addLowRankRecipe,
  concatRecipe,
  literalRecipe,
  permuteRecipe,
  type Recipe,
  reshapeRecipe,
  sliceRecipe,
  tensorRecipe,
} from '../../../src/graph/recipe'
import { input, param } from '../../../src/graph/value'
import { DTYPE_BYTES, type DType } from '../../../src/tensor/dtype'
import { elements, type Shape } from '../../../src/tensor/shape'
import { toFloat32 } from '../../../src/tensor/widen'
import { openCheckpoint, type TensorEntry } from '../../../src/weights/checkpoint'
import { encodeSafetensors } from '../../../src/weights/safetensorsWriter'
import { ORACLE } from '../../oracle/capabilities'
import { toBf16 } from '../../oracle/toBf16'
import { noise, scratchFolder } from './fixtures'

describe('storedType', () => {
  const types: Record<string, DType> = { half: 'f16', other: 'f16', brain: 'bf16', single: 'f32', ids: 'i64' }
  const find = (name: string) => ({ dtype: types[name] }) as TensorEntry
  const tensor = (name: string) => tensorRecipe(name, [4, 6])
  const gemm = (recipe: Recipe, rest: Partial<ParamSpec> = {}): ParamSpec => ({
    recipe,
    packing: 'gemm',
    dtype: 'f32',
    shape: recipe.shape,
    ...rest,
  })
  const widens = { ...ORACLE, widenedDtypes: ['bf16', 'f16'] } as const
  const factors = [tensorRecipe('half', [4, 2]), tensorRecipe('half', [2, 6])] as const

  it.each([
    ['a tensor', gemm(tensor('half')), 'f16'],
    ['bf16', gemm(tensor('brain')), 'bf16'],
    ['f32', gemm(tensor('single')), 'f32'],
    ['integers, which packing refuses', gemm(tensor('ids')), 'f32'],
    [
      'parts that are moved',
      gemm(reshapeRecipe(permuteRecipe(sliceRecipe(tensor('half'), 0, 0, 2), [1, 0]), [12])),
      'f16',
    ],
    ['one type, joined', gemm(concatRecipe([tensor('half'), tensor('other')], 0)), 'f16'],
    ['two types, joined', gemm(concatRecipe([tensor('half'), tensor('brain')], 0)), 'f32'],
    ['literals', gemm(literalRecipe(new Float32Array(24), [4, 6])), 'f32'],
    ['sums', gemm(addLowRankRecipe(tensor('half'), ...factors, 1)), 'f32'],
    ['vectors and tables', gemm(tensor('half'), { packing: 'plain' }), 'f32'],
    ['folded kernels', gemm(tensor('half'), { packing: 'upsample' }), 'f32'],
    ['networks of another type', gemm(tensor('half'), { dtype: 'bf16' }), 'bf16'],
  ] as const)('%s', (_, spec, want) => {
    expect(storedType(spec, widens, find)).toBe(want)
    expect(storedType(spec, ORACLE, find)).toBe(spec.dtype)
    expect(storedType({ ...spec, rounded: 'bf16' }, ORACLE, find)).toBe(spec.dtype)
    // What has 16 bits already is not rounded a second time.
    const rounded = want === 'f32' && spec.packing === 'gemm' ? 'bf16' : want
    expect(storedType({ ...spec, rounded: 'bf16' }, widens, find)).toBe(rounded)
  })
})

/** Products of few and of many rows, a convolution in Winograd's tiles, one of stride 2. */
function products(): Graph {
  const weight = (name: string, shape: Shape) => param(tensorRecipe(name, shape), shape, name)
  const x = input('sample', 'latent', { shape: [16, 16, 32], dtype: 'f32', axes: ['H', 'W', 'C'] })
  const wide = ops.conv2d('wide', x, weight('wide', [48, 3, 3, 32]), undefined, { padding: 1 })
  const half = ops.conv2d('half', wide, weight('half', [40, 3, 3, 48]), undefined, { padding: 1, stride: 2 })
  const tokens = ops.linear('many', ops.reshape('tokens', half, [64, 40]), weight('many', [33, 40]))
  const few = ops.linear('few', ops.reshape('few', tokens, [4, 528]), weight('few', [24, 528]))
  return graph('products', { sample: few })
}

/** The 16 bits of every finite float16 that is not negative. */
const halves = new Map(
  [...toFloat32({ dtype: 'f16', shape: [0x7c00], data: Uint16Array.from({ length: 0x7c00 }, (_, bits) => bits) })].map(
    (value, bits) => [value, bits] as const,
  ),
)

const SHAPES: Record<string, Shape> = { wide: [48, 3, 3, 32], half: [40, 3, 3, 48], many: [33, 40], few: [24, 528] }

interface Run {
  readonly quantize?: Quantization
  readonly from?: (name: string) => Float32Array
}

describe.each([undefined, 'portable', 'avx2', 'avx512'] as const)('networks in float32 on %s', (instructions) => {
  const folder = scratchFolder()
  const devices: Device[] = []
  afterAll(() => {
    for (const device of devices) device.dispose()
  })

  /** Values that all three types have: few bits of mantissa. */
  const values = (name: string) => noise(elements(SHAPES[name] ?? []), name.length).map((v) => Math.round(v * 64) / 64)
  const encode: Record<string, (v: Float32Array) => Float32Array | Uint16Array> = {
    f32: (v) => v,
    f16: (v) => Uint16Array.from(v, (one) => (halves.get(Math.abs(one)) ?? Number.NaN) | (one < 0 ? 0x8000 : 0)),
    bf16: toBf16,
  }

  async function run(device: Device, dtype: 'f32' | 'f16' | 'bf16', { quantize = 'none', from = values }: Run = {}) {
    const tensors = Object.fromEntries(
      Object.entries(SHAPES).map(([name, shape]) => [name, { dtype, shape, data: encode[dtype]?.(from(name)) ?? [] }]),
    )
    const file = folder.write(`${dtype}-${quantize}.safetensors`, encodeSafetensors(tensors as never))
    const checkpoint = await openCheckpoint([file], { readIndex: readSafetensorsIndex })
    using weights = new DeviceWeights(device, checkpoint)
    using network = await loadNetwork(device, products(), weights, { dtype: 'f32', quantize })
    const [row] = await network.run([{ inputs: { sample: noise(16 * 16 * 32, 9) } }])
    return { sample: [...(row?.sample ?? [])], bytes: weights.memory().packBytes, native: device.memory().packBytes }
  }

  it('give the same bits from files of any type, and take half the memory from those of 16 bits', async (context) => {
    let device: Device
    try {
      device = openDevice({ device: 'cpu', ...(instructions ? { instructions } : {}) })
    } catch {
      return context.skip()
    }
    devices.push(device)
    const { widenedDtypes } = device.capabilities
    const single = await run(device, 'f32')
    expect(single.bytes).toBe(Object.values(SHAPES).reduce((sum, shape) => sum + 4 * elements(shape), 0))
    for (const dtype of ['f16', 'bf16'] as const) {
      const narrow = await run(device, dtype)
      expect(narrow.sample).toEqual(single.sample)
      expect(widenedDtypes).toContain(dtype)
      expect(narrow.bytes / single.bytes).toBe(DTYPE_BYTES[dtype] / DTYPE_BYTES.f32)
      expect(narrow.native).toBeLessThan(0.7 * single.native)
    }
    // Rounded as it is loaded, or in the file already.
    const full = (name: string) => noise(elements(SHAPES[name] ?? []), name.length)
    const rounded = await run(device, 'f32', { quantize: 'bf16-weights', from: full })
    expect(rounded.sample).toEqual((await run(device, 'bf16', { from: full })).sample)
    expect(rounded.sample).not.toEqual((await run(device, 'f32', { from: full })).sample)
    expect(rounded.bytes / single.bytes).toBe(DTYPE_BYTES.bf16 / DTYPE_BYTES.f32)
  })
})
