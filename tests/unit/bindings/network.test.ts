/** Networks: parts run once per distinct content, rows keep their bits, states stay within their bound. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Device,
  DeviceWeights,
  loadNetwork,
  type Network,
  type NetworkRow,
  openDevice,
} from '../../../src/bindings'
import { type Graph, graph } from '../../../src/graph/graph'
import * as ops from '../../../src/graph/ops'
import { literalRecipe } from '../../../src/graph/recipe'
import { input, param } from '../../../src/graph/value'
import { BACKENDS, emptyCheckpoint, noise, rejection } from './fixtures'

const WIDTH = 32
const TOKENS = 4

/** latent + silu(prompt W) W' + step features W'': one part each for prompt, step, and the rows. */
function smallGraph(depth = 1): Graph {
  const weight = (name: string, n: number, k: number, seed: number) =>
    param(
      literalRecipe(
        noise(n * k, seed).map((v) => v / 4),
        [n, k],
      ),
      [n, k],
      name,
    )
  const latent = input('sample', 'latent', { shape: [TOKENS, WIDTH], dtype: 'f32', axes: ['L', 'D'] })
  const prompt = input('text', 'prompt', { shape: [TOKENS, WIDTH], dtype: 'f32', axes: ['L', 'D'] })
  const step = input('timestep', 'step', { shape: [1, WIDTH], dtype: 'f32', axes: ['_', 'D'] })
  const text = ops.silu('text.act', ops.linear('text.proj', prompt, weight('w1', WIDTH, WIDTH, 11)))
  const time = ops.silu('time.act', ops.linear('time.proj', step, weight('w2', WIDTH, WIDTH, 12)))
  const shift = ops.linear('time.shift', time, weight('w3', WIDTH, WIDTH, 13))
  let x = latent
  for (let i = 0; i < depth; i++) {
    x = ops.add(`mix.${i}`, ops.linear(`proj.${i}`, x, weight(`w4.${i}`, WIDTH, WIDTH, 14 + i)), text)
    x = ops.add(`shift.${i}`, x, ops.reshape(`flat.${i}`, shift, [WIDTH]))
    x = ops.silu(`act.${i}`, x)
  }
  return graph('small', { sample: x })
}

const row = (latent: number, text: number, step: number): NetworkRow => ({
  inputs: {
    sample: noise(TOKENS * WIDTH, latent),
    text: noise(TOKENS * WIDTH, 100 + text),
    timestep: noise(WIDTH, 200 + step),
  },
})

const bytes = (result: Record<string, Float32Array> | undefined) =>
  Buffer.from(result?.sample?.buffer ?? new ArrayBuffer(0)).toString('hex')

describe.each(BACKENDS)('network on %s', (backend) => {
  let device: Device
  let weights: DeviceWeights
  const networks: Network[] = []
  const load = async (options: Parameters<typeof loadNetwork>[3] = {}, g = smallGraph()) => {
    const network = await loadNetwork(device, g, weights, { dtype: 'f32', ...options })
    networks.push(network)
    return network
  }
  beforeAll(() => {
    device = openDevice({ device: backend })
    weights = new DeviceWeights(device, emptyCheckpoint)
  })
  afterAll(() => {
    for (const network of networks) network.dispose()
    weights?.dispose()
    device?.dispose()
  })

  it('gives the numbers of the uncut, plain network', async () => {
    const [cut, plain] = [await load(), await load({ cut: false, optimise: false })]
    const [[a], [b]] = [await cut.run([row(1, 1, 1)]), await plain.run([row(1, 1, 1)])]
    expect(plain.memory().states).toBe(0)
    expect(cut.memory().states).toBe(2)
    expect(a?.sample).toHaveLength(TOKENS * WIDTH)
    const worst = Math.max(...(a?.sample ?? []).map((v, i) => Math.abs(v - (b?.sample?.[i] ?? Number.NaN))))
    expect(worst).toBeLessThan(1e-5)
  })

  it('runs prompt and step parts once per distinct content', async () => {
    const network = await load()
    const rows = [row(1, 1, 1), row(2, 1, 1), row(3, 2, 1), row(4, 1, 2)]
    await network.run(rows)
    expect(network.memory().states).toBe(4) // two prompts, two steps
    const { stateBytes } = network.memory()
    await network.run(rows.toReversed())
    expect(network.memory()).toEqual({ states: 4, stateBytes })
    expect(device.memory().bufferBytes).toBeGreaterThanOrEqual(stateBytes)
  })

  it('keeps the bits of a row, whatever its company and whatever is cached', async () => {
    const network = await load()
    const rows = [row(1, 1, 1), row(2, 2, 1), row(3, 1, 2), row(4, 3, 3), row(5, 1, 1), row(6, 2, 2), row(7, 3, 1)]
    const together = await network.run(rows)
    for (const [i, one] of rows.entries()) {
      const fresh = await load()
      expect(bytes((await fresh.run([one]))[0])).toBe(bytes(together[i]))
      expect(bytes((await network.run([one]))[0])).toBe(bytes(together[i]))
    }
  })

  it('lets the caller have its arrays back at once', async () => {
    const network = await load()
    const [expected] = await network.run([row(1, 1, 1)])
    for (const warm of [true, false]) {
      const again = warm ? network : await load()
      const given = row(1, 1, 1)
      const pending = again.run([given])
      for (const [i, array] of Object.values(given.inputs).entries()) {
        if (i === 0) structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] })
        else array.fill(Number.NaN)
      }
      expect(bytes((await pending)[0])).toBe(bytes(expected))
    }
  })

  it('prepares states ahead, for the inputs it is given', async () => {
    const network = await load()
    await network.prepare(
      [1, 2, 3].map((step) => ({ inputs: { timestep: row(0, 0, step).inputs.timestep as Float32Array } })),
    )
    expect(network.memory().states).toBe(3)
    await network.prepare([{ inputs: {} }])
    const [prepared] = await network.run([row(1, 1, 2)])
    expect(network.memory().states).toBe(4)
    const [fresh] = await (await load()).run([row(1, 1, 2)])
    expect(bytes(prepared)).toBe(bytes(fresh))
  })

  it('keeps states within the bound, and works without any', async () => {
    const roomy = await load()
    await roomy.run([row(1, 1, 1)])
    const { stateBytes } = roomy.memory()
    const [tight, none] = [await load({ stateBytes }), await load({ stateBytes: 0 })]
    for (let i = 0; i < 5; i++) {
      const [a] = await tight.run([row(1, i, i)])
      const [b] = await none.run([row(1, i, i)])
      expect(bytes(a)).toBe(bytes(b))
      expect(tight.memory().stateBytes).toBeLessThanOrEqual(stateBytes)
      expect(none.memory()).toEqual({ states: 0, stateBytes: 0 })
    }
  })

  it('shares states between calls that run at the same time, even when one gives up', async () => {
    const network = await load()
    const controller = new AbortController()
    const results = await Promise.allSettled([
      network.run([row(1, 1, 1)], { signal: controller.signal }),
      network.run([row(2, 1, 1)]),
      (async () => controller.abort('enough'))(),
    ])
    expect(results[0]).toMatchObject({ status: 'rejected', reason: { code: 'ABORT_ERR', cause: 'enough' } })
    expect(results[1]?.status).toBe('fulfilled')
    expect(network.memory().states).toBe(2)
  })

  it('can be cancelled at every moment and used again', async () => {
    const deep = smallGraph(30)
    const network = await load({}, deep)
    const expected = await network.run([row(1, 1, 1)])
    for (let ticks = 0; ticks < 12; ticks++) {
      const fresh = await load({}, deep)
      const controller = new AbortController()
      const pending = Promise.allSettled([fresh.run([row(1, 1, 1), row(2, 2, 2)], { signal: controller.signal })])
      for (let i = 0; i < ticks; i++) await (i % 3 === 2 ? new Promise(setImmediate) : Promise.resolve())
      controller.abort('now')
      const [result] = await pending
      if (result?.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ABORT_ERR', cause: 'now' })
      expect(bytes((await fresh.run([row(1, 1, 1)]))[0])).toBe(bytes(expected[0]))
    }
  })

  it.each([
    ['no rows', 'invalid-argument', []],
    ['a missing input', 'missing-input', [{ inputs: { sample: noise(128, 1), text: noise(128, 1) } }]],
    ['an unknown input', 'unknown-input', [{ inputs: { ...row(1, 1, 1).inputs, mask: noise(4, 1) } }]],
    ['a short input', 'shape-mismatch', [{ inputs: { ...row(1, 1, 1).inputs, sample: noise(3, 1) } }]],
    ['integers', 'dtype-mismatch', [{ inputs: { ...row(1, 1, 1).inputs, sample: new Int32Array(128) } }]],
    ['a plain array', 'dtype-mismatch', [{ inputs: { ...row(1, 1, 1).inputs, text: [1, 2, 3] } }]],
    ['nothing for an input', 'dtype-mismatch', [{ inputs: { ...row(1, 1, 1).inputs, text: undefined } }]],
    ['a good row and a bad one', 'missing-input', [row(1, 1, 1), { inputs: {} }]],
  ])('refuses %s', async (_, code, rows) => {
    const network = await load()
    const error = await rejection(network.run(rows as never))
    expect(error).toMatchObject({ name: 'EngineError', code })
    expect(error.message).toMatch(/expected .*, got /)
    expect(network.memory().states).toBe(0)
  })

  it('refuses a bound that is no number', async () => {
    expect(await rejection(load({ stateBytes: Number.NaN }))).toMatchObject({ code: 'invalid-option' })
    expect(await rejection(load({ stateBytes: -1 }))).toMatchObject({ code: 'invalid-option' })
  })

  it('finishes what is pending after dispose, then frees it and refuses', async () => {
    const own = openDevice({ device: backend })
    const ownWeights = new DeviceWeights(own, emptyCheckpoint)
    const network = await loadNetwork(own, smallGraph(), ownWeights, { dtype: 'f32' })
    const pending = network.run([row(1, 1, 1)])
    network.dispose()
    network.dispose()
    expect(await rejection(network.run([row(1, 1, 1)]))).toMatchObject({ code: 'disposed' })
    expect(await rejection(network.prepare([]))).toMatchObject({ code: 'disposed' })
    const [expected] = await (await load()).run([row(1, 1, 1)])
    expect(bytes((await pending)[0])).toBe(bytes(expected))
    await Promise.resolve()
    expect(own.memory().bufferBytes).toBe(0)
    ownWeights.dispose()
    own.dispose()
  })

  it('stops loading when its signal fires', async () => {
    const g = smallGraph(50)
    const controller = new AbortController()
    const loading = loadNetwork(device, g, weights, { signal: controller.signal })
    setImmediate(() => controller.abort('enough'))
    expect(await rejection(loading)).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' })
  })
})
