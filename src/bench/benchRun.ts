/** `bench run`: measures the suites that were asked for, on one device, into one report. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Device, type DeviceOptions, openDevice } from '../bindings'
import type { NetworkDType } from '../compile/compile'
import type { Quantization } from '../compile/passes/quantize'
import { EngineError } from '../errors'
import { graphFlops } from '../graph/graph'
import { BenchNetwork, openWorkload, weightFiles } from './benchNetwork'
import { describeMachine, type Machine, peakMemoryBytes } from './machine'
import { type NetworkReport, networkReports } from './networkSuite'
import { type OpsReport, opsReport } from './opsSuite'
import { measurePeaks, type PeakRate } from './peaks'
import type { PeerOptions } from './peers'
import { WORKLOADS, type Workload } from './workloads'

export const SUITES = ['ops', 'denoiser', 'vae'] as const
export type Suite = (typeof SUITES)[number]

export interface BenchOptions extends Omit<PeerOptions, 'threads' | 'dtype'> {
  readonly suites: readonly Suite[]
  /** Names of workloads. @defaultValue all of the suites */
  readonly only?: readonly string[] | undefined
  readonly instructions?: DeviceOptions['instructions']
  readonly threads?: DeviceOptions['threads']
  /** @defaultValue the device's preferred type */
  readonly dtype?: NetworkDType | undefined
  /** @defaultValue `'none'` */
  readonly quantize?: Quantization | undefined
  /** How many rows a call has. @defaultValue what each workload names, one and for some two */
  readonly rows?: readonly number[] | undefined
  /** Of each comparison. @defaultValue as many as fit a minute, three to nine */
  readonly rounds?: number | undefined
  /** Calls that are the steps of one run. @defaultValue 20, of slow networks as many as fit ten seconds; 1 of decoders */
  readonly steps?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** What is done next, one line each. */
  readonly onProgress?: ((text: string) => void) | undefined
  /** A report of a workload is done, before the others are. */
  readonly onOps?: ((report: OpsReport) => void) | undefined
  readonly onNetworks?: ((reports: readonly NetworkReport[]) => void) | undefined
}

/** What `-o` writes. */
export interface BenchReport {
  readonly version: 1
  readonly date: string
  readonly machine: Machine
  readonly device: {
    readonly arithmetic: string
    readonly threads: number
    readonly dtype: NetworkDType
    readonly quantize: Quantization
  }
  readonly peaks: readonly PeakRate[]
  readonly ops: readonly OpsReport[]
  readonly networks: readonly NetworkReport[]
  /** Of this process: what runs in the `ops` suite. */
  readonly peakMemoryBytes: number
}

/** Runs of a step-timed network: the median of three hides one bad one. */
const FEWEST_RUNS = 3
const MOST_RUNS = 30
const ENOUGH_MS = 20_000

/**
 * Measures; nothing else should run on the machine meanwhile, but whatever does falls on all alike.
 *
 * @throws {@link EngineError} `invalid-option` for a workload or type that does not exist, what opening a device and
 * loading networks throw; an AbortError when the signal fires.
 */
export async function runBench(options: BenchOptions): Promise<BenchReport> {
  const { instructions, threads, signal, onProgress } = options
  const chosen = choose(options)
  const scratch = mkdtempSync(path.join(tmpdir(), 'irodori-bench-'))
  const clean = () => rmSync(scratch, { recursive: true, force: true })
  process.once('exit', clean) // also after an interruption
  const device = openDevice({ ...(instructions ? { instructions } : {}), ...(threads ? { threads } : {}) })
  try {
    const dtype = options.dtype ?? (device.capabilities.preferredDtype as NetworkDType)
    const quantize = options.quantize ?? 'none'
    onProgress?.('measuring the peaks of this machine')
    const peaks = await measurePeaks(device, signal)
    const session: Session = { device, dtype, quantize, scratch, options }
    const ops: OpsReport[] = []
    const networks: NetworkReport[] = []
    for (const workload of chosen) {
      const { ofOps, ofNetworks } = await measureWorkload(workload, session)
      ops.push(...ofOps)
      networks.push(...ofNetworks)
    }
    return {
      version: 1,
      date: new Date().toISOString(),
      machine: describeMachine(),
      device: { arithmetic: device.info.arithmetic, threads: device.info.threads, dtype, quantize },
      peaks,
      ops,
      networks,
      peakMemoryBytes: peakMemoryBytes(),
    }
  } finally {
    device.dispose()
    clean()
    process.removeListener('exit', clean)
  }
}

/** Workloads that some suite wants, in their order. */
function choose({ suites, only, rows }: BenchOptions): Workload[] {
  const names = WORKLOADS.map(({ name }) => name)
  const stranger = only?.find((name) => !names.includes(name))
  if (stranger !== undefined) {
    const message = `only: expected workloads among ${names.join(', ')}, got "${stranger}"`
    throw new EngineError('invalid-option', message, { option: 'only', expected: names, got: stranger })
  }
  return WORKLOADS.filter(
    ({ name, suite }) => (only?.includes(name) ?? true) && (suites.includes('ops') || suites.includes(suite)),
  ).map((workload) => (rows ? { ...workload, rows } : workload))
}

interface Session {
  readonly device: Device
  readonly dtype: NetworkDType
  readonly quantize: Quantization
  readonly scratch: string
  readonly options: BenchOptions
}

async function measureWorkload(
  workload: Workload,
  { device, dtype, quantize, scratch, options }: Session,
): Promise<{ readonly ofOps: readonly OpsReport[]; readonly ofNetworks: readonly NetworkReport[] }> {
  const { suites, signal, onProgress, exported, steps } = options
  const ofOps: OpsReport[] = []
  let flops: number
  const own = mkdtempSync(path.join(scratch, 'weights-'))
  try {
    onProgress?.(`${workload.name}: weights`)
    const model = await openWorkload(workload, { exported, scratch: own })
    onProgress?.(`${workload.name}: ${weightFiles(model)}`)
    using network = new BenchNetwork(device, model, dtype, quantize)
    flops = graphFlops((await network.compiled(workload.inputs(1, 0))).graph)
    if (suites.includes('ops')) {
      onProgress?.(`${workload.name}: steps`)
      const limits = { minRuns: FEWEST_RUNS, maxRuns: MOST_RUNS, enoughMs: ENOUGH_MS }
      const report = await opsReport(workload, network, { rows: workload.rows[0] ?? 1, steps, ...limits, signal })
      options.onOps?.(report)
      ofOps.push(report)
    }
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
  if (!suites.includes(workload.suite)) return { ofOps, ofNetworks: [] }
  const ofNetworks = await networkReports(workload, device, flops, {
    ...options,
    scratch,
    threads: device.info.threads,
    dtype,
    quantize,
  })
  options.onNetworks?.(ofNetworks)
  return { ofOps, ofNetworks }
}
