/** Contenders: processes that are asked in turn, and what happens when they do not answer. */
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type Call, Contender, decodeCall, encodeCall } from '../../../src/bench/contender'
import { findPeers } from '../../../src/bench/peers'
import { WORKLOADS } from '../../../src/bench/workloads'
import { scratch } from '../weights/scratch'

const files = scratch()
const started: Contender[] = []
afterEach(() => {
  for (const contender of started.splice(0)) contender.dispose()
})

/** A process that answers as a script says. */
function contender(script: string): Contender {
  const load = { model: 'm' }
  const file = files.write(`${started.length}-${Math.random()}.cjs`, script)
  const made = new Contender({ name: 'fake', command: process.execPath, args: [file], load })
  started.push(made)
  return made
}

const echo = `
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { do: what, calls, ...rest } = JSON.parse(line)
    const answers = {
      load: { loadMs: 3, about: rest },
      run: calls?.map((_, index) => index),
      output: { ms: 5, data: calls?.[0].x.data },
      memory: 99,
    }
    console.log(JSON.stringify({ ok: answers[what] }))
  })`
const call: Call = { x: { dtype: 'f32', shape: [2], data: Float32Array.of(1.5, -2) } }

describe('contenders', () => {
  it('load, run, show their output and their memory, in the order they are asked', async () => {
    const fake = contender(echo)
    const answers = await Promise.all([
      fake.load({ name: 'fake', command: '', args: [], load: { model: 'm' } }),
      fake.run(1, [call, call], 2),
      fake.output(1, call),
      fake.peakMemoryBytes(),
    ])
    expect(answers).toEqual([
      { loadMs: 3, about: { model: 'm' } },
      [0, 1],
      { ms: 5, values: Float32Array.of(1.5, -2) },
      99,
    ])
  })

  it('say what they failed with, and go on', async () => {
    const fake = contender(`
      let count = 0
      require('node:readline').createInterface({ input: process.stdin }).on('line', () =>
        console.log(count++ ? '{"ok":7}' : '{"error":"no such model"}'))`)
    await expect(fake.peakMemoryBytes()).rejects.toThrow('fake: no such model')
    expect(await fake.peakMemoryBytes()).toBe(7)
  })

  it('that end fail every question, with what they complained of', async () => {
    const fake = contender(`console.error('cannot find the library'); process.exitCode = 3`)
    await expect(fake.peakMemoryBytes()).rejects.toThrow('ended with 3: cannot find the library')
    await expect(fake.run(1, [call], 1)).rejects.toThrow('ended with 3')
  })

  it('that talk of other things fail', async () => {
    const fake = contender(`process.stdin.once('data', () => console.log('Downloading...'))`)
    await expect(fake.peakMemoryBytes()).rejects.toThrow('expected a line of JSON, got Downloading...')
  })

  it('that cannot be started fail', async () => {
    const missing = new Contender({ name: 'none', command: path.join(files.folder, 'nothing'), args: [], load: {} })
    started.push(missing)
    await expect(missing.peakMemoryBytes()).rejects.toThrow(/none: .*ENOENT/)
  })

  it('get every type of tensor as it is', () => {
    const all: Call = {
      a: { dtype: 'f32', shape: [1], data: Float32Array.of(Math.PI) },
      b: { dtype: 'i64', shape: [2], data: BigInt64Array.of(1n, -(2n ** 60n)) },
      c: { dtype: 'i32', shape: [1], data: Int32Array.of(-5) },
      d: { dtype: 'bf16', shape: [1], data: Uint16Array.of(0x3f80) },
      e: { dtype: 'u8', shape: [3], data: Uint8Array.of(1, 2, 3) },
    }
    expect(decodeCall(encodeCall(all))).toEqual(all)
  })
})

describe('findPeers', () => {
  const [workload] = WORKLOADS
  if (!workload) throw new Error('expected a workload')
  const options = { threads: 2, dtype: 'f32' } as const

  it('finds none without weights for all sides, and says so', () => {
    expect(findPeers(workload, options)).toEqual({ found: [], missing: [expect.stringContaining('--exported')] })
  })

  it('says of each what is missing', () => {
    const { found, missing } = findPeers(workload, { ...options, exported: files.folder, peers: files.folder })
    expect(found).toEqual([])
    expect(missing).toEqual([expect.stringContaining('onnxruntime.mjs'), expect.stringContaining('--python')])
  })

  it('takes what is installed: types that were exported, PyTorch in ours too', () => {
    files.write('peers/onnxruntime.mjs', '')
    files.write('peers/pytorch.py', '')
    files.write('peers/node_modules/onnxruntime-node/index.js', '')
    files.write(`exported/${workload.name}/model.onnx`, '')
    files.write(`exported/${workload.name}/model.int8.onnx`, '')
    const { found, missing } = findPeers(workload, {
      threads: 2,
      dtype: 'bf16',
      exported: path.join(files.folder, 'exported'),
      peers: path.join(files.folder, 'peers'),
      python: 'python3',
      compiled: true,
    })
    expect(missing).toEqual([])
    expect(found.map(({ name }) => name)).toEqual([
      'onnxruntime-node fp32',
      'onnxruntime-node int8',
      'pytorch f32 eager',
      'pytorch f32 compiled',
      'pytorch bf16 eager',
      'pytorch bf16 compiled',
    ])
  })
})
