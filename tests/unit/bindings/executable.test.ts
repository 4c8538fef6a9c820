/** Runs: what they compute, every way to call them wrongly, in every state of the handles they take. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { getEventListeners } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, DeviceWeights, type Executable, openDevice, type RunRequest } from '../../../src/bindings'
import { affine, BACKENDS, chain, emptyCheckpoint, loadProgram, lookup, noise, rejection } from './fixtures'

/** Long enough to be caught while it runs. */
const SLOW = { tokens: 96, width: 256, steps: 40 }
const SLOW_VALUES = SLOW.tokens * SLOW.width

describe.each(BACKENDS)('executable on %s', (backend) => {
  let device: Device
  let weights: DeviceWeights
  let double: Executable
  let slow: Executable

  beforeAll(async () => {
    device = openDevice({ device: backend })
    weights = new DeviceWeights(device, emptyCheckpoint)
    double = await loadProgram(device, affine(4), weights)
    slow = await loadProgram(device, chain(SLOW), weights)
  })
  afterAll(() => {
    for (const owner of [double, slow, weights, device]) owner?.dispose()
  })

  const slowRun = (signal?: AbortSignal, executable = slow) => {
    const y = new Float32Array(SLOW_VALUES)
    return { y, done: executable.run({ rows: 1, inputs: { x: [noise(SLOW_VALUES, 5)] }, outputs: { y: [y] }, signal }) }
  }

  describe('computes', () => {
    it('into the arrays it is given, row by row', async () => {
      const ys = [new Float32Array(4), new Float32Array(4)]
      await double.run({
        rows: 2,
        inputs: { x: [Float32Array.of(1, 2, 3, 4), Float32Array.of(-1, 0, 0.5, 8)] },
        outputs: { y: ys },
      })
      expect(ys.map((y) => [...y])).toEqual([
        [3, 5, 7, 9],
        [-1, 1, 2, 17],
      ])
    })

    it('in parts of larger arrays, and leaves the rest alone', async () => {
      const memory = new Float32Array(12).fill(9)
      memory.set([1, 2, 3, 4], 1)
      await double.run({
        rows: 1,
        inputs: { x: [memory.subarray(1, 5)] },
        outputs: { y: [memory.subarray(6, 10)] },
      })
      expect([...memory]).toEqual([9, 1, 2, 3, 4, 9, 3, 5, 7, 9, 9, 9])
    })

    it('through device buffers', async () => {
      using between = device.allocate(16)
      const y = new Float32Array(4)
      await double.run({ rows: 1, inputs: { x: [Float32Array.of(1, 2, 3, 4)] }, outputs: { y: [between] } })
      await double.run({ rows: 1, inputs: { x: [between] }, outputs: { y: [y] } })
      expect([...y]).toEqual([7, 11, 15, 19])
    })

    it('integers too', async () => {
      const table = noise(5 * 3, 3)
      const find = await loadProgram(device, lookup(2, 5, 3), weights)
      const y = new Float32Array(6)
      await find.run({ rows: 1, inputs: { ids: [Int32Array.of(4, 0)] }, outputs: { y: [y] } })
      expect([...y]).toEqual([...table.subarray(12, 15), ...table.subarray(0, 3)])
      const outside = find.run({ rows: 1, inputs: { ids: [Int32Array.of(5, 0)] }, outputs: { y: [y] } })
      expect(await rejection(outside)).toMatchObject({ name: 'EngineError', code: 'invalid-argument' })
      find.dispose()
    })

    it('the same bits alone and in company, again and again', async () => {
      const rows = Array.from({ length: 3 }, (_, row) => noise(SLOW_VALUES, row))
      const together = rows.map(() => new Float32Array(SLOW_VALUES))
      await slow.run({ rows: 3, inputs: { x: rows }, outputs: { y: together } })
      for (const [row, x] of rows.entries()) {
        const alone = new Float32Array(SLOW_VALUES)
        await slow.run({ rows: 1, inputs: { x: [x] }, outputs: { y: [alone] } })
        expect(Buffer.from(alone.buffer).equals(Buffer.from(together[row]?.buffer ?? new ArrayBuffer(0)))).toBe(true)
      }
    })

    it('in the order of calls when many are pending', async () => {
      const order: number[] = []
      await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          double
            .run({ rows: 1, inputs: { x: [new Float32Array(4)] }, outputs: { y: [new Float32Array(4)] } })
            .then(() => order.push(i)),
        ),
      )
      expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i))
    })

    it('and continues in the async context of its caller', async () => {
      const storage = new AsyncLocalStorage<string>()
      const seen = await Promise.all(
        ['a', 'b'].map((name) => storage.run(name, () => slowRun().done.then(() => storage.getStore()))),
      )
      expect(seen).toEqual(['a', 'b'])
    })
  })

  describe('refuses', () => {
    const x = new Float32Array(4)
    const y = new Float32Array(4)
    const shared = new Float32Array(new SharedArrayBuffer(16))
    const detached = () => {
      const array = new Float32Array(4)
      structuredClone(array.buffer, { transfer: [array.buffer] })
      return array
    }
    const resizable = () => {
      const Resizable = ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer
      return new Float32Array(new Resizable(16, { maxByteLength: 64 }))
    }
    const cases: [string, string, (run: RunRequest) => object][] = [
      ['no rows', 'invalid-argument', () => ({ rows: 0, inputs: { x: [] }, outputs: { y: [] } })],
      ['half a row', 'invalid-argument', () => ({ rows: 0.5 })],
      ['rows that are no number', 'invalid-argument', () => ({ rows: '1' })],
      [
        'more rows than a run takes',
        'invalid-argument',
        () => ({ rows: 70_000, inputs: { x: Array(70_000).fill(x) }, outputs: { y: Array(70_000).fill(y) } }),
      ],
      ['a missing input', 'missing-input', () => ({ inputs: {} })],
      ['a missing output', 'missing-input', () => ({ outputs: {} })],
      ['a row too few', 'missing-input', () => ({ rows: 2, outputs: { y: [y, new Float32Array(4)] } })],
      ['an unknown input', 'unknown-input', () => ({ inputs: { x: [x], z: [x] } })],
      ['an unknown output', 'unknown-input', () => ({ outputs: { y: [y], z: [x] } })],
      ['another element type', 'dtype-mismatch', () => ({ inputs: { x: [new Float64Array(4)] } })],
      ['integers for numbers', 'dtype-mismatch', () => ({ inputs: { x: [new Int32Array(4)] } })],
      ['a short array', 'shape-mismatch', () => ({ inputs: { x: [new Float32Array(3)] } })],
      ['a long array', 'shape-mismatch', () => ({ outputs: { y: [new Float32Array(5)] } })],
      ['an empty array', 'shape-mismatch', () => ({ inputs: { x: [new Float32Array(0)] } })],
      ['a plain array', 'invalid-argument', () => ({ inputs: { x: [[1, 2, 3, 4]] } })],
      ['nothing', 'invalid-argument', () => ({ inputs: { x: [undefined] } })],
      ['null', 'invalid-argument', () => ({ inputs: { x: [null] } })],
      ['a number', 'invalid-argument', () => ({ inputs: { x: [1] } })],
      ['a DataView', 'invalid-argument', () => ({ inputs: { x: [new DataView(new ArrayBuffer(16))] } })],
      ['shared memory', 'invalid-argument', () => ({ inputs: { x: [shared] } })],
      ['a detached array', 'invalid-argument', () => ({ outputs: { y: [detached()] } })],
      ['a resizable array', 'invalid-argument', () => ({ outputs: { y: [resizable()] } })],
      ['an output over its input', 'invalid-argument', () => ({ outputs: { y: [x] } })],
      [
        'an output over a part of its input',
        'invalid-argument',
        () => {
          const memory = new Float32Array(7)
          return { inputs: { x: [memory.subarray(3)] }, outputs: { y: [memory.subarray(0, 4)] } }
        },
      ],
      [
        'two outputs in one array',
        'invalid-argument',
        () => ({ rows: 2, inputs: { x: [x, x] }, outputs: { y: [y, y] } }),
      ],
      ['a buffer of another size', 'shape-mismatch', () => ({ inputs: { x: [device.allocate(12)] } })],
      [
        'a disposed buffer',
        'disposed',
        () => {
          const buffer = device.allocate(16)
          buffer.dispose()
          return { inputs: { x: [buffer] } }
        },
      ],
      [
        'a buffer of another device',
        'invalid-argument',
        () => {
          using other = openDevice({ device: backend })
          return { inputs: { x: [other.allocate(16)] } }
        },
      ],
    ]
    it.each(cases)('%s', async (_, code, change) => {
      const request: RunRequest = { rows: 1, inputs: { x: [x] }, outputs: { y: [y] } }
      const error = await rejection(double.run({ ...request, ...change(request) } as RunRequest))
      expect(error).toMatchObject({ name: 'EngineError', code })
      expect(error.message).toMatch(/expected .*, got /)
      expect(error.stack).toContain('executable.test.ts')
      // and lives on
      await double.run(request)
    })

    it('a program that does not decode', async () => {
      const broken = { ...affine(4), arenaBytes: 0, steps: [{ ...affine(4).steps[0], output: 0 }] } as ReturnType<
        typeof affine
      >
      expect(await rejection(loadProgram(device, broken, weights))).toMatchObject({ code: 'invalid-program' })
    })

    it('weights of another device', async () => {
      using other = openDevice({ device: backend })
      const error = await rejection(loadProgram(other, affine(4), weights))
      expect(error).toMatchObject({ code: 'invalid-argument' })
    })
  })

  describe('stops', () => {
    it('before it begins, when its signal has fired', async () => {
      expect(await rejection(slowRun(AbortSignal.abort('early')).done)).toMatchObject({
        code: 'ABORT_ERR',
        cause: 'early',
      })
    })

    it('while it runs, long before its end', { retry: 2 }, async () => {
      const started = performance.now()
      await slowRun().done
      const wholeMs = performance.now() - started
      const controller = new AbortController()
      const { done } = slowRun(controller.signal)
      setTimeout(() => controller.abort('stop'), wholeMs / 10)
      const again = performance.now()
      expect(await rejection(done)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'stop' })
      expect(performance.now() - again).toBeLessThan(wholeMs * 0.8)
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    })

    it('while it waits behind another run, at once', async () => {
      const first = slowRun()
      const controller = new AbortController()
      const second = slowRun(controller.signal)
      const settled: string[] = []
      const both = [
        first.done.then(() => settled.push('first')),
        second.done.catch((error) => settled.push(error.name)),
      ]
      controller.abort()
      await Promise.all(both)
      expect(settled).toEqual(['AbortError', 'first'])
    })

    it('only the calls of its own signal', async () => {
      const [a, b] = [new AbortController(), new AbortController()]
      const runs = [slowRun(a.signal), slowRun(b.signal), slowRun(a.signal), slowRun()]
      a.abort()
      const results = await Promise.allSettled(runs.map(({ done }) => done))
      expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled'])
      expect(getEventListeners(b.signal, 'abort')).toHaveLength(0)
      expect([...(runs[1]?.y ?? [])]).toEqual([...(runs[3]?.y ?? [])])
    })
  })

  describe('disposed', () => {
    it('refuses runs; a second dispose does nothing', async () => {
      const executable = await loadProgram(device, affine(4), weights)
      executable.dispose()
      executable.dispose()
      executable[Symbol.dispose]()
      const run = executable.run({
        rows: 1,
        inputs: { x: [new Float32Array(4)] },
        outputs: { y: [new Float32Array(4)] },
      })
      expect(await rejection(run)).toMatchObject({ code: 'disposed' })
    })

    it('during a run: the run ends as if nothing had happened', async () => {
      const expected = slowRun()
      await expected.done
      const own = openDevice({ device: backend })
      const ownWeights = new DeviceWeights(own, emptyCheckpoint)
      const executable = await loadProgram(own, chain(SLOW), ownWeights)
      const { y, done } = slowRun(undefined, executable)
      executable.dispose()
      ownWeights.dispose()
      own.dispose()
      await done
      expect([...y]).toEqual([...expected.y])
    })

    it('its buffers during a run: likewise', async () => {
      const buffer = device.allocate(SLOW_VALUES * 4)
      const y = new Float32Array(SLOW_VALUES)
      const first = slow.run({ rows: 1, inputs: { x: [noise(SLOW_VALUES, 5)] }, outputs: { y: [buffer] } })
      const second = slow.run({ rows: 1, inputs: { x: [buffer] }, outputs: { y: [y] } })
      buffer.dispose()
      await Promise.all([first, second])
      expect(y.every((value) => Math.abs(value) <= 1)).toBe(true)
      expect(y.some((value) => value !== 0)).toBe(true)
    })

    it('its device: the executable refuses, and can still be disposed', async () => {
      const own = openDevice({ device: backend })
      const executable = await loadProgram(own, affine(4), new DeviceWeights(own, emptyCheckpoint))
      own.dispose()
      const run = executable.run({
        rows: 1,
        inputs: { x: [new Float32Array(4)] },
        outputs: { y: [new Float32Array(4)] },
      })
      expect(await rejection(run)).toMatchObject({ code: 'disposed' })
      executable.dispose()
    })
  })
})
