/** irodori's own side of a comparison: a process that loads one workload and runs it when it is told to. */

import { createInterface } from 'node:readline'
import { type Device, type DeviceOptions, openDevice } from '../bindings'
import type { NetworkDType } from '../compile/compile'
import type { Quantization } from '../compile/passes/quantize'
import { packageVersion } from '../pipelines/provenance'
import { BenchNetwork, openWorkload } from './benchNetwork'
import { decodeCall, type EncodedTensor, type OutputAnswer } from './contender'
import { peakMemoryBytes } from './machine'
import { WORKLOADS, type Workload } from './workloads'

/** What it is told to load. */
export interface OwnLoad {
  readonly workload: string
  readonly instructions?: DeviceOptions['instructions']
  readonly threads?: DeviceOptions['threads']
  readonly dtype?: NetworkDType
  readonly quantize?: Quantization
  readonly exported?: string
  readonly scratch: string
}

type EncodedCall = Readonly<Record<string, EncodedTensor>>

type Question =
  | ({ readonly do: 'load' } & OwnLoad)
  | { readonly do: 'run'; readonly calls: readonly EncodedCall[]; readonly steps: number }
  | { readonly do: 'output'; readonly calls: readonly EncodedCall[] }
  | { readonly do: 'memory' }

interface Ready {
  readonly device: Device
  readonly network: BenchNetwork
  readonly workload: Workload
}

let ready: Ready | undefined

async function load({
  workload: name,
  instructions,
  threads,
  dtype,
  quantize,
  exported,
  scratch,
}: OwnLoad): Promise<unknown> {
  const workload = WORKLOADS.find((candidate) => candidate.name === name)
  if (!workload) throw new Error(`expected a workload, got ${name}`)
  const started = performance.now()
  const device = openDevice({ instructions, threads })
  const type = dtype ?? (device.capabilities.preferredDtype as NetworkDType)
  const network = new BenchNetwork(device, await openWorkload(workload, { exported, scratch }), type, quantize)
  ready = { device, network, workload }
  await network.load(workload.inputs(1, 0))
  const { arithmetic, threads: count } = device.info
  const about = {
    irodori: packageVersion(),
    node: process.versions.node,
    dtype: type,
    quantize,
    arithmetic,
    threads: count,
  }
  return { loadMs: performance.now() - started, about }
}

async function answer(question: Question): Promise<unknown> {
  if (question.do === 'load') return load(question)
  if (question.do === 'memory') return peakMemoryBytes()
  if (!ready) throw new Error('expected to be told what to load first')
  const { network, workload } = ready
  if (question.do === 'run') {
    const { calls, steps } = question
    const times: number[] = []
    for (let first = 0; first < calls.length; first += steps) {
      const done = await network.run(calls.slice(first, first + steps).map(decodeCall))
      times.push(...done.map(({ ms, preparedMs }) => ms + preparedMs))
    }
    return times
  }
  const [call = {}] = question.calls
  const [done] = await network.run([decodeCall(call)])
  const output = done?.outputs[workload.output]
  if (!done || !output) throw new Error(`expected an output ${workload.output}, got none`)
  const { buffer, byteOffset, byteLength } = output.data
  return { ms: done.ms, data: Buffer.from(buffer, byteOffset, byteLength).toString('base64') } satisfies OutputAnswer
}

async function main(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    let said: object
    try {
      said = { ok: await answer(JSON.parse(line) as Question) }
    } catch (error) {
      said = { error: error instanceof Error ? error.message : String(error) }
    }
    process.stdout.write(`${JSON.stringify(said)}\n`)
  }
  ready?.network.dispose()
  ready?.device.dispose()
}

if (require.main === module) void main()
