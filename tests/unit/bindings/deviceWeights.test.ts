/** Packs: made once for equal recipes, from the right bytes; errors that name tensors; progress; cancelling. */
import { renameSync, truncateSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, DeviceWeights, openDevice, readSafetensorsIndex } from '../../../src/bindings'
import type { ParamSpec } from '../../../src/compile'
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
import { type Checkpoint, type LowRankTerm, openCheckpoint, type TensorEntry } from '../../../src/weights/checkpoint'
import { encodeSafetensors } from '../../../src/weights/safetensorsWriter'
import { BACKENDS, chain, emptyCheckpoint, giveBack, loadProgram, noise, rejection, scratchFolder } from './fixtures'

const folder = scratchFolder()
const float = (values: number[], shape: number[]) => ({ dtype: 'f32' as const, shape, data: Float32Array.from(values) })
const counted = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i)

const plain = (recipe: Recipe): ParamSpec => ({ recipe, packing: 'plain', dtype: 'f32', shape: recipe.shape })

let checkpoint: Checkpoint
beforeAll(async () => {
  const first = folder.write(
    'first.safetensors',
    encodeSafetensors({
      a: float(counted(6), [2, 3]),
      half: { dtype: 'f16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 0x3555) },
      brain: { dtype: 'bf16', shape: [2], data: Uint16Array.of(0x3f80, 0xc040) },
      ids: { dtype: 'i64', shape: [2], data: BigInt64Array.of(1n, 2n) },
    }),
  )
  const second = folder.write('second.safetensors', encodeSafetensors({ b: float(counted(6, 10), [2, 3]) }))
  checkpoint = await openCheckpoint([first, second], { readIndex: readSafetensorsIndex })
})

describe.each(BACKENDS)('weights on %s', (backend) => {
  let device: Device
  beforeAll(() => {
    device = openDevice({ device: backend })
  })
  afterAll(() => device?.dispose())

  const a = tensorRecipe('a', [2, 3])
  const b = tensorRecipe('b', [2, 3])
  const cases: [string, Recipe, number[]][] = [
    ['a tensor', a, [0, 1, 2, 3, 4, 5]],
    ['f16', tensorRecipe('half', [3]), [1, -2, 0.333251953125]],
    ['bf16', tensorRecipe('brain', [2]), [1, -3]],
    ['a literal', literalRecipe(Float32Array.of(1.5, -2), [2]), [1.5, -2]],
    ['a slice', sliceRecipe(a, 1, 1, 2), [1, 2, 4, 5]],
    ['tensors of two files, joined', concatRecipe([a, b], 0), [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]],
    ['joined along the inner axis', concatRecipe([b, a], 1), [10, 11, 12, 0, 1, 2, 13, 14, 15, 3, 4, 5]],
    ['another shape', reshapeRecipe(a, [3, 2]), [0, 1, 2, 3, 4, 5]],
    ['another order', permuteRecipe(a, [1, 0]), [0, 3, 1, 4, 2, 5]],
    [
      'a product of two factors, added',
      addLowRankRecipe(
        a,
        literalRecipe(Float32Array.of(1, 2, 3, 4), [2, 2]),
        literalRecipe(Float32Array.of(1, 0, 1, 0, 1, 1), [2, 3]),
        0.5,
      ),
      [0.5, 2, 3.5, 4.5, 6, 8.5],
    ],
    [
      'all of it',
      permuteRecipe(
        concatRecipe([sliceRecipe(a, 0, 1, 1), reshapeRecipe(literalRecipe(Float32Array.of(7, 8, 9), [3]), [1, 3])], 0),
        [1, 0],
      ),
      [3, 7, 4, 8, 5, 9],
    ],
  ]
  it.each(cases)('evaluates %s', async (_, recipe, expected) => {
    using weights = new DeviceWeights(device, checkpoint)
    using executable = await loadProgram(device, giveBack(recipe), weights)
    const y = new Float32Array(expected.length)
    await executable.run({ rows: 1, inputs: {}, outputs: { y: [y] } })
    expect([...y]).toEqual(expected)
  })

  it('makes equal parameters once, whoever asks', async () => {
    using weights = new DeviceWeights(device, checkpoint)
    const twin = plain(permuteRecipe(tensorRecipe('a', [2, 3]), [1, 0]))
    const params = [plain(permuteRecipe(a, [1, 0])), plain(b), twin, { ...plain(a), packing: 'gemm' as const }]
    const [first, second] = await Promise.all([weights.packs(params), weights.packs([twin])])
    expect(new Set(first).size).toBe(3)
    expect(first[0]).toBe(first[2])
    expect(second[0]).toBe(first[0])
    expect(weights.memory()).toEqual({ packs: 3, packBytes: 72 })
    expect(device.memory().packBytes).toBeGreaterThanOrEqual(72)
    expect(await weights.packs(params)).toEqual(first)
  })

  it('reports progress in bytes of packs', async () => {
    using weights = new DeviceWeights(device, checkpoint)
    const seen: [number, number][] = []
    await weights.packs([plain(a), plain(b), plain(a)], {
      onProgress: ({ doneBytes, totalBytes }) => seen.push([doneBytes, totalBytes]),
    })
    expect(seen).toEqual([
      [24, 48],
      [48, 48],
    ])
  })

  it('names everything that is missing, and makes nothing', async () => {
    using weights = new DeviceWeights(device, checkpoint)
    const params = [
      plain(a),
      plain(tensorRecipe('gone', [2])),
      plain(concatRecipe([tensorRecipe('lost', [2]), tensorRecipe('gone', [2])], 0)),
    ]
    const error = await rejection(weights.packs(params))
    expect(error).toMatchObject({ code: 'missing-tensor', context: { missing: ['gone', 'lost'] } })
    expect(weights.memory().packs).toBe(0)
  })

  it('names tensors of another shape', async () => {
    using weights = new DeviceWeights(device, checkpoint)
    const error = await rejection(weights.packs([plain(tensorRecipe('a', [3, 2]))]))
    expect(error).toMatchObject({ code: 'shape-mismatch' })
    expect(error.message).toMatch(/a \[3, 2\], got \[2, 3\]/)
  })

  it('refuses integers for parameters', async () => {
    using weights = new DeviceWeights(device, checkpoint)
    expect(await rejection(weights.packs([plain(tensorRecipe('ids', [2]))]))).toMatchObject({
      code: 'unsupported-format',
    })
  })

  it('says so when a file has changed since its header was read, and goes on with others', async () => {
    const file = folder.write('cut.safetensors', encodeSafetensors({ long: float(counted(1000), [1000]) }))
    const short = await openCheckpoint([file], { readIndex: readSafetensorsIndex })
    truncateSync(file, 2000)
    using weights = new DeviceWeights(device, short)
    const param = plain(tensorRecipe('long', [1000]))
    for (const _ of [1, 2]) {
      const error = await rejection(weights.packs([param]))
      expect(error).toMatchObject({ code: 'io' })
      expect(error.message).toMatch(/cut\.safetensors: expected .*, got one changed while in use/)
    }
    expect(weights.memory().packs).toBe(0)
    expect(await weights.packs([plain(literalRecipe(Float32Array.of(1), [1]))])).toHaveLength(1)
  })

  it('never packs another file of the same name', async () => {
    const content = (from: number) => encodeSafetensors({ long: float(counted(1000, from), [1000]) })
    const file = folder.write('replaced.safetensors', content(0))
    const opened = await openCheckpoint([file], { readIndex: readSafetensorsIndex })
    folder.write('other.safetensors', content(7))
    renameSync(folder.path('other.safetensors'), file)
    using weights = new DeviceWeights(device, opened)
    expect(await rejection(weights.packs([plain(tensorRecipe('long', [1000]))]))).toMatchObject({ code: 'io' })
    expect(weights.memory().packs).toBe(0)
  })

  it('refuses headers that were read before the file changed', async () => {
    const file = folder.write('late.safetensors', encodeSafetensors({ long: float(counted(10), [10]) }))
    const entries = await readSafetensorsIndex(file)
    truncateSync(file, 20)
    expect(await rejection(openCheckpoint([file], { readIndex: async () => entries }))).toMatchObject({ code: 'io' })
  })

  it('shares packs with other weights of the same files, until the last of them goes', async () => {
    const own = openDevice({ device: backend })
    const twin = await openCheckpoint([...new Set([...checkpoint.tensors.values()].map(({ file }) => file))], {
      readIndex: readSafetensorsIndex,
    })
    const [first, second] = [new DeviceWeights(own, checkpoint), new DeviceWeights(own, twin)]
    const params = [plain(a), plain(b)]
    const packs = await first.packs(params)
    const { packBytes } = own.memory()
    expect(await second.packs(params)).toEqual(packs)
    expect(own.memory().packBytes).toBe(packBytes)
    expect(second.memory()).toEqual({ packs: 2, packBytes: 48 })
    first.dispose()
    await new Promise(setImmediate)
    expect(own.memory().packBytes).toBe(packBytes)
    expect(await second.packs(params)).toEqual(packs)
    second.dispose()
    await new Promise(setImmediate)
    expect(own.memory().packBytes).toBe(0)
    own.dispose()
  })

  it('frees with a fork what only the fork asked for', async () => {
    const own = openDevice({ device: backend })
    using weights = new DeviceWeights(own, checkpoint)
    await weights.packs([plain(a)])
    const { packBytes } = own.memory()
    const fork = weights.fork()
    await fork.packs([plain(a), plain(b)])
    expect(weights.memory()).toEqual({ packs: 2, packBytes: 48 })
    fork.dispose()
    fork.dispose()
    await new Promise(setImmediate)
    expect(own.memory().packBytes).toBe(packBytes)
    expect(weights.memory()).toEqual({ packs: 1, packBytes: 24 })
    weights.dispose()
    expect(() => weights.fork()).toThrow(expect.objectContaining({ code: 'disposed' }))
    own.dispose()
  })

  it('shares nothing between halves of one file that call different tensors the same', async () => {
    const file = folder.write(
      'halves.safetensors',
      encodeSafetensors({ 'one.w': float([1, 2], [2]), 'two.w': float([3, 4], [2]) }),
    )
    for (const [half, values] of [
      ['one', [1, 2]],
      ['two', [3, 4]],
    ] as const) {
      const opened = await openCheckpoint([file], {
        readIndex: readSafetensorsIndex,
        rename: (name) => (name.startsWith(half) ? 'w' : undefined),
      })
      const weights = new DeviceWeights(device, opened)
      using executable = await loadProgram(device, giveBack(tensorRecipe('w', [2])), weights)
      const y = new Float32Array(2)
      await executable.run({ rows: 1, inputs: {}, outputs: { y: [y] } })
      expect([...y]).toEqual(values)
    }
  })

  it('reads parts and transposes of stored tensors', async () => {
    const file = folder.write('joined.safetensors', encodeSafetensors({ qkv: float(counted(12), [6, 2]) }))
    const parts = ({ name, begin, ...entry }: TensorEntry): TensorEntry[] => [
      { ...entry, name: 'k', shape: [2, 2], begin: begin + 16, end: begin + 32 },
      { ...entry, name: 'whole', shape: [2, 6], begin, transposed: true },
    ]
    const opened = await openCheckpoint([file], { readIndex: readSafetensorsIndex, parts })
    using weights = new DeviceWeights(device, opened)
    for (const [recipe, values] of [
      [tensorRecipe('k', [2, 2]), [4, 5, 6, 7]],
      [tensorRecipe('whole', [2, 6]), [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]],
      [sliceRecipe(tensorRecipe('whole', [2, 6]), 0, 1, 1), [1, 3, 5, 7, 9, 11]],
    ] as const) {
      using executable = await loadProgram(device, giveBack(recipe), weights)
      const y = new Float32Array(values.length)
      await executable.run({ rows: 1, inputs: {}, outputs: { y: [y] } })
      expect([...y]).toEqual(values)
    }
  })

  describe('patched', () => {
    let factors: ReadonlyMap<string, TensorEntry>
    let identity: string
    const term = (up: string, down: string, scale: number, mid?: string): LowRankTerm => {
      const [u, d, m] = [factors.get(up), factors.get(down), mid === undefined ? undefined : factors.get(mid)]
      if (!u || !d) throw new Error('no factor')
      return { up: u, down: d, ...(m ? { mid: m } : {}), scale, identity }
    }
    const valuesOf = async (weights: DeviceWeights, recipe: Recipe) => {
      using executable = await loadProgram(device, giveBack(recipe), weights)
      const y = new Float32Array(recipe.shape.reduce((product, size) => product * size, 1))
      await executable.run({ rows: 1, inputs: {}, outputs: { y: [y] } })
      return [...y]
    }

    beforeAll(async () => {
      const file = folder.write(
        'lora.safetensors',
        encodeSafetensors({
          up: float([1, 10], [2, 1]),
          down: float([1, 2, 3], [1, 3]),
          // A kernel [1, 2, 1, 2] in three factors of ranks 1 and 2.
          'conv.up': float([2], [1, 1, 1, 1]),
          'conv.mid': float([1, 2, 3, 4], [1, 2, 1, 2]),
          'conv.down': float([1, 0, 10, 1], [2, 2, 1, 1]),
        }),
      )
      ;({ tensors: factors, identity } = await openCheckpoint([file], { readIndex: readSafetensorsIndex }))
    })

    it('adds products to what it names, inside of any recipe, and shares all other packs', async () => {
      const own = openDevice({ device: backend })
      const weights = new DeviceWeights(own, checkpoint)
      const params = [plain(a), plain(b), plain(concatRecipe([a, b], 0))]
      const packs = await weights.packs(params)
      const patched = weights.patch({ terms: new Map([['a', [term('up', 'down', 1), term('up', 'down', 0.5)]]]) })
      expect(patched.identity).not.toBe(weights.identity)
      const other = await patched.packs(params)
      expect(other.map((pack, index) => pack === packs[index])).toEqual([false, true, false])
      expect(patched.patch(undefined).identity).toBe(weights.identity)
      expect(await patched.patch(undefined).packs(params)).toEqual(packs)
      patched.dispose()
      weights.dispose()
      own.dispose()
    })

    it('sums in float32, whatever it is stored in', async () => {
      using weights = new DeviceWeights(device, checkpoint)
      using once = weights.patch({ terms: new Map([['a', [term('up', 'down', 2)]]]) })
      expect(await valuesOf(once, a)).toEqual([2, 5, 8, 23, 44, 65])
      expect(await valuesOf(once, permuteRecipe(concatRecipe([b, a], 1), [1, 0]))).toEqual([
        10, 13, 11, 14, 12, 15, 2, 23, 5, 44, 8, 65,
      ])
      using twice = once.patch({ terms: new Map([['a', [term('up', 'down', 2), term('up', 'down', -1)]]]) })
      expect(await valuesOf(twice, a)).toEqual([1, 3, 5, 13, 24, 35])
      expect(await valuesOf(weights, a)).toEqual([0, 1, 2, 3, 4, 5])
    })

    it('multiplies three factors of a convolution', async () => {
      const kernel = { dtype: 'f32' as const, shape: [1, 2, 1, 2], data: Float32Array.of(0, 0, 0, 100) }
      const file = folder.write('kernel.safetensors', encodeSafetensors({ kernel }))
      using weights = new DeviceWeights(device, await openCheckpoint([file], { readIndex: readSafetensorsIndex }))
      using patched = weights.patch({ terms: new Map([['kernel', [term('conv.up', 'conv.down', 1, 'conv.mid')]]]) })
      // mid[0, s, 0, x]: s = 0 is 1, 2 and s = 1 is 3, 4; down[s, i]: 1, 0 and 10, 1.
      expect(await valuesOf(patched, tensorRecipe('kernel', [1, 2, 1, 2]))).toEqual([62, 84, 6, 108])
    })

    it('refuses to patch tensors that are not there', () => {
      using weights = new DeviceWeights(device, checkpoint)
      const patch = { terms: new Map([['gone', [term('up', 'down', 1)]]]) }
      expect(() => weights.patch(patch)).toThrow(expect.objectContaining({ code: 'missing-tensor' }))
    })
  })

  it('packs a large parameter in stretches as in one', async () => {
    const [rows, taps, channels] = [150, 9, 77]
    const values = noise(rows * taps * channels, 5)
    const whole = literalRecipe(values, [rows, channels, 3, 3])
    const file = folder.write(
      'large.safetensors',
      encodeSafetensors({ w: { dtype: 'f32', shape: [rows, channels, 3, 3], data: values } }),
    )
    using weights = new DeviceWeights(device, await openCheckpoint([file], { readIndex: readSafetensorsIndex }))
    const stored = tensorRecipe('w', [rows, channels, 3, 3])
    // Rows kept, rows turned into columns, and a range that begins in the middle of a row.
    for (const shape of [
      (recipe: Recipe) => permuteRecipe(recipe, [0, 2, 3, 1]),
      (recipe: Recipe) => permuteRecipe(reshapeRecipe(recipe, [rows, taps * channels]), [1, 0]),
      (recipe: Recipe) => sliceRecipe(reshapeRecipe(recipe, [rows * taps * channels]), 0, 1000, 100_000),
      (recipe: Recipe) => sliceRecipe(reshapeRecipe(recipe, [rows, taps * channels]), 1, 5, 600),
    ]) {
      const [got, want] = [shape(stored), shape(whole)]
      const results: Float32Array[] = []
      for (const recipe of [got, want]) {
        using executable = await loadProgram(device, giveBack(recipe), weights)
        const y = new Float32Array(recipe.shape.reduce((product, size) => product * size, 1))
        await executable.run({ rows: 1, inputs: {}, outputs: { y: [y] } })
        results.push(y)
      }
      expect(results[0]).toEqual(results[1])
      expect(results[0]?.some((value) => value !== 0)).toBe(true)
    }
  })

  it('can be cancelled, and asked again', async () => {
    using weights = new DeviceWeights(device, checkpoint)
    const params = counted(200).map((seed) => plain(literalRecipe(noise(20_000, seed), [20_000])))
    const controller = new AbortController()
    const cancelled = weights.packs(params, {
      signal: controller.signal,
      onProgress: () => controller.abort('enough'),
    })
    expect(await rejection(cancelled)).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' })
    expect(await weights.packs(params)).toHaveLength(200)
    expect(weights.memory().packs).toBe(200)
  })

  it('makes what one caller gave up when another still wants it', async () => {
    using weights = new DeviceWeights(device, checkpoint)
    const params = counted(20).map((seed) => plain(literalRecipe(noise(20_000, seed), [20_000])))
    const controller = new AbortController()
    const leaver = weights.packs(params, { signal: controller.signal })
    const stays = weights.packs(params)
    controller.abort('enough')
    expect(await rejection(leaver)).toMatchObject({ code: 'ABORT_ERR' })
    expect(await stays).toHaveLength(20)
  })

  it('after dispose refuses, and frees what no executable holds', async () => {
    const own = openDevice({ device: backend })
    const weights = new DeviceWeights(own, emptyCheckpoint)
    const executable = await loadProgram(own, chain({ tokens: 1, width: 64, steps: 1 }), weights)
    const held = own.memory().packBytes
    await weights.packs([plain(literalRecipe(noise(1000, 1), [1000]))])
    expect(own.memory().packBytes).toBeGreaterThan(held)
    weights.dispose()
    weights.dispose()
    expect(await rejection(weights.packs([]))).toMatchObject({ code: 'disposed' })
    await new Promise(setImmediate)
    expect(own.memory().packBytes).toBe(held)
    const y = new Float32Array(64)
    await executable.run({ rows: 1, inputs: { x: [noise(64, 2)] }, outputs: { y: [y] } })
    executable.dispose()
    expect(own.memory().packBytes).toBe(0)
    own.dispose()
  })
})
