/** Networks: parts run once per distinct content, rows keep their bits, states stay within their bound. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Device,
  type DeviceBuffer,
  DeviceWeights,
  loadNetwork,
  type Network,
  type NetworkRow,
  type NetworkValue,
  openDevice,
} from '../../../src/bindings'
import { EngineError } from '../../../src/errors'
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

const withSample = (one: NetworkRow, sample: NetworkValue | undefined): NetworkRow => ({
  inputs: { ...one.inputs, sample: sample as NetworkValue },
})
const withText = (one: NetworkRow, text: NetworkValue | undefined): NetworkRow => ({
  inputs: { ...one.inputs, text: text as NetworkValue },
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
      for (const [i, array] of (Object.values(given.inputs) as Float32Array[]).entries()) {
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

  it('leaves results on the device, for another network to read: same bits as by the host', async () => {
    const [first, second] = [await load(), await load({}, smallGraph(3))]
    const rows = [row(1, 1, 1), row(2, 2, 1), row(3, 1, 2)]
    const onHost = await first.run(rows)
    const expected = await second.run(rows.map((one, i) => withSample(one, onHost[i]?.sample)))

    const [port] = first.outputs
    expect(port).toEqual({ name: 'sample', dtype: 'f32', shape: [TOKENS, WIDTH] })
    const between = rows.map(() => device.allocate(TOKENS * WIDTH * 4))
    expect(await first.run(rows, { outputs: { sample: between } })).toEqual(rows.map(() => ({})))
    const got = await second.run(rows.map((one, i) => withSample(one, between[i])))
    expect(got.map(bytes)).toEqual(expected.map(bytes))

    const into = rows.map(() => new Float32Array(TOKENS * WIDTH))
    await second.run(
      rows.map((one, i) => withSample(one, between[i])),
      { outputs: { sample: into } },
    )
    expect(into.map((sample) => bytes({ sample }))).toEqual(expected.map(bytes))
    for (const buffer of between) buffer.dispose()
  })

  it('reads buffers in parts too, and keeps nothing of what it cannot tell apart', async () => {
    const [maker, network] = [await load(), await load()]
    const text = device.allocate(TOKENS * WIDTH * 4)
    const [made] = await maker.run([row(1, 1, 1)])
    await maker.run([row(1, 1, 1)], { outputs: { sample: [text] } })
    const [expected] = await network.run([withText(row(2, 0, 1), made?.sample)])
    const { states } = network.memory()
    for (const _ of [1, 2]) {
      expect(bytes((await network.run([withText(row(2, 0, 1), text)]))[0])).toBe(bytes(expected))
      expect(network.memory().states).toBe(states)
    }
    const state = network.state({ text })
    const { text: _, ...own } = row(2, 0, 1).inputs
    for (const _ of [1, 2]) expect(bytes((await network.run([{ state, inputs: own }]))[0])).toBe(bytes(expected))
    expect(network.memory().states).toBe(states + 1)
    state.dispose()
    expect(network.memory().states).toBe(states)
    text.dispose()
  })

  it('keeps what depends on a state alone until it is disposed, whatever the bound', async () => {
    const network = await load({ stateBytes: 0 })
    const [plain] = await network.run([row(1, 1, 1)])
    const { text, ...own } = row(1, 1, 1).inputs
    const given = (text as Float32Array).slice()
    const state = network.state({ text: given })
    given.fill(Number.NaN)
    await network.prepare([{ state, inputs: {} }])
    const held = network.memory()
    expect(held.states).toBe(1)
    for (let i = 0; i < 3; i++) {
      expect(bytes((await network.run([{ state, inputs: own }]))[0])).toBe(bytes(plain))
      await network.run([row(5, 2 + i, 3)])
      expect(network.memory()).toEqual(held)
    }
    const pending = network.run([{ state, inputs: own }])
    state.dispose()
    state.dispose()
    expect(bytes((await pending)[0])).toBe(bytes(plain))
    expect(network.memory()).toEqual({ states: 0, stateBytes: 0 })
    expect(await rejection(network.run([{ state, inputs: own }]))).toMatchObject({ code: 'disposed' })
  })

  it('refuses an input of the state in the row, and the state of another network', async () => {
    const [network, other] = [await load(), await load()]
    const { text, ...own } = row(1, 1, 1).inputs
    using state = network.state({ text: text as Float32Array })
    expect(await rejection(network.run([{ state, inputs: row(1, 1, 1).inputs }]))).toMatchObject({
      code: 'invalid-argument',
    })
    expect(await rejection(network.run([{ state, inputs: { timestep: own.timestep as Float32Array } }]))).toMatchObject(
      {
        code: 'missing-input',
      },
    )
    expect(await rejection(other.run([{ state, inputs: own }]))).toMatchObject({ code: 'invalid-argument' })
    expect(() => network.state({ text: new Float32Array(3) })).toThrow(
      expect.objectContaining({ code: 'shape-mismatch' }),
    )
  })

  it('frees what a state pinned when the network goes first', async () => {
    const own = openDevice({ device: backend })
    const ownWeights = new DeviceWeights(own, emptyCheckpoint)
    const network = await loadNetwork(own, smallGraph(), ownWeights, { dtype: 'f32' })
    const state = network.state({ text: noise(TOKENS * WIDTH, 101) })
    await network.prepare([{ state, inputs: {} }])
    expect(own.memory().bufferBytes).toBeGreaterThan(0)
    network.dispose()
    expect(own.memory().bufferBytes).toBe(0)
    state.dispose()
    ownWeights.dispose()
    own.dispose()
  })

  it('frees the buffers it got when the device has no more', async () => {
    const network = await load()
    const allocate = device.allocate.bind(device)
    const got: DeviceBuffer[] = []
    device.allocate = (sizeBytes) => {
      if (got.length === 2) throw new EngineError('out-of-memory', 'enough')
      got.push(allocate(sizeBytes))
      return got.at(-1) as DeviceBuffer
    }
    try {
      expect(await rejection(network.run([row(1, 1, 1), row(2, 2, 1), row(3, 3, 1)]))).toMatchObject({
        code: 'out-of-memory',
      })
    } finally {
      device.allocate = allocate
    }
    for (const buffer of got) expect(() => buffer.handle).toThrow(expect.objectContaining({ code: 'disposed' }))
  })

  it('reads lent and given arrays as copied ones', async () => {
    const expected = (await (await load()).run([row(1, 1, 1)]))[0]
    for (const arrays of ['lent', 'given'] as const) {
      const network = await load()
      const [result] = await network.run([row(1, 1, 1)], { arrays })
      expect(bytes(result)).toBe(bytes(expected))
    }
  })

  it('keeps no lent array in states', async () => {
    const network = await load()
    const [expected] = await network.run([row(1, 1, 1)])
    const lent = row(1, 2, 3)
    const controller = new AbortController()
    const pending = network.run([lent], { arrays: 'lent', signal: controller.signal })
    const other = network.run([row(2, 2, 3)])
    controller.abort()
    await rejection(pending)
    for (const array of Object.values(lent.inputs) as Float32Array[]) array.fill(Number.NaN)
    const [fresh] = await (await load()).run([row(2, 2, 3)])
    expect(bytes((await other)[0])).toBe(bytes(fresh))
    expect(bytes((await network.run([row(1, 1, 1)]))[0])).toBe(bytes(expected))
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

  it('fails as the part that failed, when rows were already sent after it', async () => {
    const ids = input('ids', 'prompt', { shape: [TOKENS], dtype: 'i32', axes: ['L'] })
    const latent = input('sample', 'latent', { shape: [TOKENS, WIDTH], dtype: 'f32', axes: ['L', 'D'] })
    const table = param(literalRecipe(noise(5 * WIDTH, 3), [5, WIDTH]), [5, WIDTH], 'table')
    const words = ops.silu('act', ops.embedding('words', ids, table))
    const own = new DeviceWeights(device, emptyCheckpoint)
    using network = await loadNetwork(device, graph('words', { sample: ops.add('sum', latent, words) }), own)
    const ask = (...tokens: number[]) =>
      network.run([{ inputs: { ids: Int32Array.from(tokens), sample: noise(TOKENS * WIDTH, 1) } }])
    const before = bytes((await ask(0, 1, 2, 3))[0])
    const [wrong, right] = await Promise.allSettled([ask(0, 1, 5, 2), ask(0, 1, 2, 3)])
    expect(wrong).toMatchObject({ status: 'rejected', reason: { name: 'EngineError', code: 'invalid-argument' } })
    expect(right.status === 'fulfilled' && bytes(right.value[0])).toBe(before)
    expect(network.memory().states).toBe(1)
    own.dispose()
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
