/**
 * Where the time of a network goes: every step of its Programs, timed inside whole runs.
 *
 * Steps are not run alone: in a run their operands come from where the steps before left them, weights have been pushed out
 * of the caches by the rest of the network, and threads are warm. Nor is there a list of shapes to keep: distinct steps and
 * their counts are those of the Programs themselves. What that costs is that a step's time has the noise of the run it
 * stood in, so the median over runs is taken.
 */

import type { PartTimes } from '../bindings'
import type { NetworkDType } from '../compile/compile'
import { KERNELS } from '../compile/kernels'
import type { Quantization } from '../compile/passes/quantize'
import type { Program, Step } from '../compile/program'
import { isProduct, type StoredTypes, stepCost } from '../compile/stepCost'
import type { BenchNetwork, TimedCall } from './benchNetwork'
import { meanSample, type PeakSample, peaksFor, samplePeaks } from './peaks'
import { median } from './statistics'
import { stepsOfRun, type Workload, wholeRuns } from './workloads'

/** All steps of one kernel and shape, of one run. */
export interface OpsRow {
  readonly kernel: string
  readonly shape: string
  readonly count: number
  readonly ms: number
  /** Of the network's time. */
  readonly share: number
  readonly flops: number
  readonly bytes: number
  /** `flops`: bound by arithmetic at the measured peaks, `bytes`: by memory. */
  readonly bound: 'flops' | 'bytes'
  /** The time these steps would take at the peaks of the same run, by the time they took. Above one: it came from caches. */
  readonly ofPeak: number
}

/** One workload. */
export interface OpsReport {
  readonly workload: string
  readonly title: string
  readonly rows: number
  readonly dtype: NetworkDType
  readonly quantize: Quantization
  readonly runs: number
  /** Calls that are the steps of one run: what depends on timesteps alone is made for all of them at once. */
  readonly stepsOfRun: number
  /** Of one call, everything that it had to do included. */
  readonly ms: number
  /** Of the Programs' steps alone: what is missing is handing the call over and waking threads. */
  readonly stepsMs: number
  readonly peaks: PeakSample
  /** By time. */
  readonly steps: readonly OpsRow[]
  /** The same by kernel. */
  readonly kernels: readonly OpsRow[]
  /** All matrix products, convolutions and attention, weighted by their time. */
  readonly products: OpsRow
  /** All other steps. */
  readonly passes: OpsRow
  /** Bytes that all steps move, and those of the products alone, which a perfect fusion would leave. */
  readonly movedBytes: number
  readonly fusedBytes: number
}

export interface OpsOptions {
  readonly rows: number
  /** Calls that are the steps of one run. @defaultValue as {@link stepsOfRun} says */
  readonly steps?: number | undefined
  readonly minRuns: number
  readonly maxRuns: number
  /** Enough of measuring one workload, once there are `minRuns`. */
  readonly enoughMs: number
  readonly signal?: AbortSignal | undefined
}

/** Runs between two looks at the peaks take about that long. */
const BLOCK_MS = 200

/** One step with what it costs for all rows. */
interface CostedStep {
  readonly part: number
  readonly index: number
  readonly kernel: string
  readonly shape: string
  readonly product: boolean
  /** x and weights as int8. */
  readonly int8: boolean
  readonly flops: number
  readonly bytes: number
}

/** One timed call: the times of all steps by part, and the peaks around it. */
interface TimedRun {
  readonly parts: ReadonlyMap<number, PartShare>
  readonly peaks: PeakSample
  readonly ms: number
}

/** What one call had of a part: all of it, or its share of what was made for all calls of its run. */
interface PartShare {
  readonly stepMs: readonly number[]
  readonly rows: number
  readonly calls: number
}

/** Measures one workload; the network is warm afterwards. */
export async function opsReport(workload: Workload, network: BenchNetwork, options: OpsOptions): Promise<OpsReport> {
  const { rows, signal } = options
  const compiled = await network.compiled(workload.inputs(rows, 0))
  const programs = compiled.parts.map(({ payload }) => payload.program)
  const stored = network.storedTypes()
  // The first has pages and caches to fill.
  const [first] = await network.run([workload.inputs(rows, 0)], { signal })
  const firstMs = first?.ms ?? 0
  const steps = options.steps ?? stepsOfRun(workload, firstMs)
  const blockRuns = wholeRuns(Math.min(options.maxRuns, BLOCK_MS / firstMs), steps)
  const runs: TimedRun[] = []
  const started = performance.now()
  const sampling = {
    names: peaksFor(network.device, network.dtype, network.quantize),
    blockMs: blockRuns * firstMs,
    signal,
  }
  let turn = 0
  const calls = (count: number) => Array.from({ length: count }, () => workload.inputs(rows, ++turn))
  let before = await samplePeaks(network.device, sampling)
  while (
    runs.length < options.minRuns ||
    (runs.length < options.maxRuns && performance.now() - started < options.enoughMs)
  ) {
    const block: TimedCall[] = []
    // Measuring memory has pushed the weights of small networks out of the caches, where they are in life.
    if (blockRuns > 1) await network.run(calls(1), { signal })
    while (block.length < blockRuns) block.push(...(await network.run(calls(steps), { signal, timed: true })))
    const after = await samplePeaks(network.device, sampling)
    const peaks = meanSample(before, after)
    runs.push(...block.map((call) => ({ ms: call.ms + call.preparedMs, parts: sharesOf(call, steps), peaks })))
    before = after
  }
  const costed = programs.flatMap((program, part) => costedSteps(program, part, { runs, rows, stored }))
  return summarise(workload, network, { rows, steps, costed, runs })
}

function sharesOf({ parts, prepared }: TimedCall, calls: number): Map<number, PartShare> {
  const share = ({ part, rows, stepMs }: PartTimes, by: number): [number, PartShare] => [
    part,
    { rows, calls: by, stepMs: stepMs.map((ms) => ms / by) },
  ]
  return new Map([...prepared.map((times) => share(times, calls)), ...parts.map((times) => share(times, 1))])
}

interface Measured {
  readonly rows: number
  readonly steps: number
  readonly costed: readonly CostedStep[]
  readonly runs: readonly TimedRun[]
}

function summarise(
  workload: Workload,
  { dtype, quantize }: BenchNetwork,
  { rows, steps, costed, runs }: Measured,
): OpsReport {
  // Parts whose results were known from earlier runs, those of the prompt, cost a step nothing.
  const ran = costed.filter(({ part }) => runs.every(({ parts }) => parts.has(part)))
  const totals = runs.map((run) => ran.reduce((sum, step) => sum + timeOf(run, step), 0))
  const row = (of: readonly CostedStep[], kernel: string, shape: string): OpsRow => {
    const [flops, bytes] = [sum(of, (step) => step.flops), sum(of, (step) => step.bytes)]
    const times = runs.map((run) => sum(of, (step) => timeOf(run, step)))
    const least = runs.map(({ peaks }) => sum(of, (step) => leastMs(step, peaks).ms))
    const atFlops = runs.map(({ peaks }) =>
      sum(of, (step) => (leastMs(step, peaks).bound === 'flops' ? leastMs(step, peaks).ms : 0)),
    )
    return {
      kernel,
      shape,
      count: of.length,
      ms: median(times),
      share: median(times.map((ms, run) => ms / (totals[run] ?? 1))),
      flops,
      bytes,
      bound: 2 * median(atFlops) >= median(least) ? 'flops' : 'bytes',
      ofPeak: median(times.map((ms, run) => (least[run] ?? 0) / ms)),
    }
  }
  const grouped = (key: (step: CostedStep) => string, shape: (step: CostedStep) => string) =>
    groups(ran, key)
      .flatMap((of) => (of[0] ? [row(of, of[0].kernel, shape(of[0]))] : []))
      .sort((a, b) => b.ms - a.ms)
  const products = ran.filter(({ product }) => product)
  const passes = ran.filter(({ product }) => !product)
  const sample = (of: (peaks: PeakSample) => number) => median(runs.map(({ peaks }) => of(peaks)))
  return {
    workload: workload.name,
    title: workload.title,
    rows,
    dtype,
    quantize,
    runs: runs.length,
    stepsOfRun: steps,
    ms: median(runs.map(({ ms }) => ms)),
    stepsMs: median(totals),
    peaks: {
      products: sample((peaks) => peaks.products),
      int8: sample((peaks) => peaks.int8),
      read: sample((peaks) => peaks.read),
      copy: sample((peaks) => peaks.copy),
    },
    steps: grouped(
      (step) => `${step.kernel} ${step.shape}`,
      (step) => step.shape,
    ),
    kernels: grouped(
      (step) => step.kernel,
      () => '',
    ),
    products: row(products, 'products', ''),
    passes: row(passes, 'passes', ''),
    movedBytes: sum(ran, ({ bytes }) => bytes),
    fusedBytes: sum(products, ({ bytes }) => bytes),
  }
}

function groups<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const found = new Map<string, T[]>()
  for (const item of items) {
    const group = found.get(key(item))
    if (group) group.push(item)
    else found.set(key(item), [item])
  }
  return [...found.values()]
}

function timeOf({ parts }: TimedRun, { part, index }: CostedStep): number {
  return parts.get(part)?.stepMs[index] ?? 0
}

/** The roofline: what a step would take at the peaks, and which of them bounds it. */
function leastMs(step: CostedStep, peaks: PeakSample): { ms: number; bound: OpsRow['bound'] } {
  const { flops, bytes, product, int8 } = step
  const arithmetic = (flops / (int8 ? peaks.int8 : peaks.products)) * 1e3
  const memory = (bytes / (product ? peaks.read : peaks.copy)) * 1e3
  return arithmetic >= memory ? { ms: arithmetic, bound: 'flops' } : { ms: memory, bound: 'bytes' }
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function costedSteps(
  program: Program,
  part: number,
  { runs, rows, stored }: { readonly runs: readonly TimedRun[]; readonly rows: number; readonly stored: StoredTypes },
): CostedStep[] {
  const share = runs[0]?.parts.get(part) ?? { rows, calls: 1 }
  return program.steps.map((step, index) => {
    const { flops, rowBytes, paramBytes } = stepCost(program, step, stored)
    return {
      part,
      index,
      kernel: step.kernel,
      shape: shapeOf(program, step),
      product: isProduct(step.kernel),
      int8: attrOf(step, 'quantizeX') > 0,
      flops: (share.rows * flops) / share.calls,
      bytes: (share.rows * rowBytes + paramBytes) / share.calls,
    }
  })
}

/** An attribute of a step, 0 where its kernel has none of that name. */
function attrOf({ kernel, attrs }: Step, name: string): number {
  return attrs[(KERNELS[kernel].attrs as readonly string[]).indexOf(name)] ?? 0
}

/** What tells steps of one kernel apart: their sizes, of one row, and what they multiply. */
export function shapeOf(program: Program, step: Step): string {
  const { kernel, operands, output, epilogue } = step
  const shape = (index: number | null | undefined) =>
    index === null || index === undefined ? [] : (program.buffers[index]?.shape ?? [])
  const [x, second] = operands.map(shape)
  const y = shape(output)
  const tail = epilogue.length > 0 ? ` +${epilogue.map(({ op }) => op).join('+')}` : ''
  const attr = (name: string) => attrOf(step, name)
  const type = attr('quantizeX') > 0 ? ' int8' : ''
  switch (kernel) {
    case 'matmul': {
      const columns = y.at(-1) ?? 1
      const m = y.slice(0, -1).reduce((all, size) => all * size, 1)
      return `${m}x${columns}x${x?.at(-1) ?? 1}${type}${tail}`
    }
    case 'conv2d': {
      const stride = attr('strideH') === 1 ? '' : ` /${attr('strideH')}`
      const size = `${attr('kernelH')}x${attr('kernelW')}`
      return `${size} ${x?.at(-1)}->${y.at(-1)} @${y[0]}x${y[1]}${stride}${type}${tail}`
    }
    case 'attention': {
      const heads = attr('heads')
      return `${heads} heads ${x?.[0]}x${second?.[0]} d${(x?.at(-1) ?? 0) / heads}${tail}`
    }
    default:
      return `${y.join('x')}${tail}`
  }
}
