/** What steps cost, against counts by hand. */
import { describe, expect, it } from 'vitest'
import { type BufferSpec, compile, type ParamSpec, type Program, type Step } from '../../../src/compile'
import type { KernelName } from '../../../src/compile/kernels'
import { isProduct, programBytes, stepCost } from '../../../src/compile/stepCost'
import { tensorRecipe } from '../../../src/graph/recipe'
import { modelDefinition } from '../../../src/models'
import type { Shape } from '../../../src/tensor/shape'
import { ORACLE } from '../../oracle/capabilities'

/** A program of one step over buffers of those shapes; the last is the output. */
function oneStep(kernel: KernelName, shapes: readonly (readonly [BufferSpec['storage'], Shape])[]): [Program, Step] {
  const buffers = shapes.map(
    ([storage, shape], index): BufferSpec => ({
      name: `b${index}`,
      dtype: 'f32',
      shape,
      pitch: shape.at(-1) ?? 1,
      storage,
    }),
  )
  const output = buffers.length - 1
  const step: Step = {
    kernel,
    operands: buffers.slice(0, -1).map((_, index) => index),
    output,
    attrs: [],
    epilogue: [],
    at: '',
  }
  const params: ParamSpec[] = shapes
    .filter(([storage]) => storage.kind === 'param')
    .map(([, shape]) => ({ recipe: tensorRecipe('w', shape), packing: 'gemm', dtype: 'f32', shape }))
  return [{ name: 'one', buffers, params, inputs: [], outputs: [], steps: [step], arenaBytes: 0 }, step]
}

const row = { kind: 'input', index: 0 } as const
const param = { kind: 'param', index: 0 } as const

describe('stepCost', () => {
  it('of a matrix product: two operations for every weight and row of x, the weight read once', () => {
    const [program, step] = oneStep('matmul', [
      [row, [5, 7]],
      [param, [11, 7]],
      [param, [11]],
      [row, [5, 11]],
    ])
    expect(stepCost(program, step)).toEqual({
      flops: 2 * 5 * 7 * 11,
      rowBytes: 4 * (5 * 7 + 5 * 11),
      paramBytes: 4 * (7 * 11 + 11),
    })
    expect(programBytes(program, 3)).toEqual({ moved: 3 * 360 + 352, products: 3 * 360 + 352 })
    expect(stepCost(program, step, () => 'f16').paramBytes).toBe(2 * (7 * 11 + 11))
    expect(programBytes(program, 3, () => 'f16').moved).toBe(3 * 360 + 176)
  })

  it('of a convolution: the taps count, the pixels are those of the output', () => {
    const [program, step] = oneStep('conv2d', [
      [row, [8, 8, 3]],
      [param, [16, 3, 3, 3]],
      [row, [4, 4, 16]],
    ])
    expect(stepCost(program, step).flops).toBe(2 * 4 * 4 * 16 * 27)
  })

  it('of attention: scores and weighted sums', () => {
    const [program, step] = oneStep('attention', [
      [row, [6, 8]],
      [row, [10, 8]],
      [row, [10, 8]],
      [row, [6, 8]],
    ])
    expect(stepCost(program, step)).toEqual({ flops: 4 * 6 * 10 * 8, rowBytes: 4 * (48 + 80 + 80 + 48), paramBytes: 0 })
  })

  it('of a table: the rows that are asked for', () => {
    const [program, step] = oneStep('embedding', [
      [row, [2]],
      [param, [1000, 8]],
      [row, [2, 8]],
    ])
    expect(stepCost(program, step)).toEqual({ flops: 0, rowBytes: 4 * (2 + 16 + 16), paramBytes: 0 })
  })

  it('of a pass: bytes only, and a perfect fusion leaves none of them', () => {
    const [program, step] = oneStep('elementwise', [
      [row, [4]],
      [row, [4]],
    ])
    expect(stepCost(program, { ...step, epilogue: [{ op: 'add', operand: 0 }] })).toEqual({
      flops: 0,
      rowBytes: 48,
      paramBytes: 0,
    })
    expect(programBytes(program, 1)).toEqual({ moved: 32, products: 0 })
  })

  it('adds up to the arithmetic of a network', async () => {
    const { graph } = modelDefinition('AutoencoderTiny').build(
      {},
      { component: 'vae', part: 'decoder' },
      { height: 8, width: 8 },
    )
    const { parts } = await compile(graph, ORACLE)
    const flops = parts.flatMap(({ payload: { program } }) =>
      program.steps.filter(({ kernel }) => isProduct(kernel)).map((step) => stepCost(program, step).flops),
    )
    // 64 channels throughout: per cell of a level 9 or 10 convolutions, one of them behind the upsample.
    const pair = 2 * 9 * 64 * 64
    const cells = 8 * 8
    const expected =
      cells * (2 * 9 * 4 * 64 + 9 * pair + 4 * 10 * pair + 16 * 10 * pair + 64 * (4 * pair + 2 * 9 * 64 * 3))
    expect(flops.reduce((sum, one) => sum + one, 0)).toBe(expected)
  })
})
