/** Whole networks, beside peers that run in turns with them: short blocks, so that whatever else the machine does falls on all. */

import path from 'node:path'
import type { Device, DeviceOptions } from '../bindings'
import { onAbort } from '../bindings/abortFanOut'
import type { Quantization } from '../compile/passes/quantize'
import { throwIfAborted } from '../errors'
import { relativeL2 } from '../pipelines/measureQuantized'
import type { OwnLoad } from './child'
import { type Call, Contender, type ContenderCommand, type Loaded } from './contender'
import { peaksFor, sampleProducts } from './peaks'
import { findPeers, type PeerOptions } from './peers'
import { median, type Spread, spread } from './statistics'
import { stepsOfRun, type Workload, wholeRuns } from './workloads'

/** One contender's figures for one number of rows. */
export interface Standing {
  readonly name: string
  readonly about: Loaded['about']
  readonly loadMs: number
  /** The first run of that many rows. */
  readonly firstMs: number
  readonly ms: Spread
  readonly flopsPerSecond: number
  /** Of the peak for products, measured around each of its blocks. */
  readonly ofPeak: number
  readonly peakMemoryBytes: number
  /** Median over rounds of its time by ours: above one, we are faster. Left out for ourselves. */
  readonly ratio?: number
  /** Relative L2 distance of its output from ours. Left out for ourselves. */
  readonly distance?: number
}

export interface NetworkReport {
  readonly workload: string
  readonly title: string
  readonly rows: number
  /** Of one call, everything included. */
  readonly flops: number
  readonly rounds: number
  /** Calls that are the steps of one run. */
  readonly steps: number
  /** For products, the median of what was measured around all blocks. */
  readonly peak: number
  /** We first. */
  readonly standings: readonly Standing[]
  readonly missing: readonly string[]
}

export interface NetworkSuiteOptions extends PeerOptions {
  readonly quantize: Quantization
  readonly instructions?: DeviceOptions['instructions']
  readonly scratch: string
  /** @defaultValue as many as fit a minute, three to nine */
  readonly rounds?: number | undefined
  /** Calls that are the steps of one run. @defaultValue as {@link stepsOfRun} says */
  readonly steps?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((text: string) => void) | undefined
}

/** Blocks are at least that long, so that switching costs nothing. */
const BLOCK_MS = 250
const MOST_RUNS = 200
/** From there on the first run says well enough how long others take. */
const SLOW_MS = 2000
/** For all rounds of one number of rows. */
const ENOUGH_MS = 60_000
const FEWEST_ROUNDS = 3
const MOST_ROUNDS = 9

/** A contender, and what was measured of it for one number of rows. */
interface Entrant {
  readonly contender: Contender
  readonly loaded: Loaded
  readonly firstMs: number
  readonly output: Float32Array
  readonly warmMs: number
}

/** With what its blocks are. */
interface Runner extends Entrant {
  /** Calls of one block, and about how long they take. */
  readonly blockCalls: number
  readonly blockMs: number
  /** Times of the runs of every block, and the peak around each. */
  readonly blocks: (readonly number[])[]
  readonly peaks: number[]
}

/**
 * Measures one workload for every number of rows it asks for. A peer that fails is left out and said to be missing.
 *
 * @param device - measures peaks; the contenders are processes of their own.
 * @param flops - of one row.
 */
export async function networkReports(
  workload: Workload,
  device: Device,
  flops: number,
  options: NetworkSuiteOptions,
): Promise<NetworkReport[]> {
  const { signal, onProgress } = options
  const { found, missing } = findPeers(workload, options)
  const started: Contender[] = []
  const stop = () => {
    for (const contender of started) contender.dispose()
  }
  const stopListening = signal && onAbort(signal, stop)
  const session: Session = { workload, device, options, missing: [...missing] }
  try {
    const loaded: Pick<Entrant, 'contender' | 'loaded'>[] = []
    for (const command of [ownCommand(workload, options), ...found]) {
      throwIfAborted(signal)
      onProgress?.(`${workload.name}: loading ${command.name}`)
      const contender = new Contender(command)
      started.push(contender)
      await unlessPeerFails(session, loaded.length > 0, async () => {
        loaded.push({ contender, loaded: await contender.load(command) })
      })
    }
    const reports: NetworkReport[] = []
    for (const rows of workload.rows) reports.push(await compare(session, rows, rows * flops, loaded))
    return reports
  } catch (error) {
    throwIfAborted(signal) // contenders that were stopped fail in ways of their own
    throw error
  } finally {
    stopListening?.()
    stop()
  }
}

interface Session {
  readonly workload: Workload
  readonly device: Device
  readonly options: NetworkSuiteOptions
  /** Peers that are not there, and those that have failed. */
  readonly missing: string[]
}

/** Whether it worked; what we fail with ourselves is thrown, what a peer does is noted. */
async function unlessPeerFails(session: Session, isPeer: boolean, work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (!isPeer || session.options.signal?.aborted) throw error
    session.missing.push(error instanceof Error ? error.message : String(error))
    return false
  }
}

function ownCommand({ name }: Workload, options: NetworkSuiteOptions): ContenderCommand {
  const { instructions, threads, dtype, quantize, exported, scratch } = options
  const load: OwnLoad = {
    workload: name,
    threads,
    dtype,
    quantize,
    scratch,
    ...(instructions ? { instructions } : {}),
    ...(exported ? { exported } : {}),
  }
  return { name: 'irodori', command: process.execPath, args: [path.join(__dirname, 'child.js')], load: { ...load } }
}

async function compare(
  session: Session,
  rows: number,
  flops: number,
  loaded: readonly Pick<Entrant, 'contender' | 'loaded'>[],
): Promise<NetworkReport> {
  const { workload, device, options, missing } = session
  const { dtype, quantize, signal, onProgress } = options
  const title = `${workload.name}: ${rows} ${rows === 1 ? 'row' : 'rows'}`
  let turn = 0
  const calls = (count: number): Call[] => Array.from({ length: count }, () => workload.inputs(rows, ++turn))
  const same = workload.inputs(rows, 0)
  const warm: Entrant[] = []
  for (const one of loaded) {
    throwIfAborted(signal)
    onProgress?.(`${title}, ${one.contender.name} for the first time`)
    await unlessPeerFails(session, warm.length > 0, async () => {
      warm.push(await warmUp(one, rows, same, calls))
    })
  }
  const steps = options.steps ?? stepsOfRun(workload, Math.max(...warm.map(({ warmMs }) => warmMs)))
  let entrants: Runner[] = warm.map((entrant) => runnerOf(entrant, steps))
  const roundMs = entrants.reduce((sum, { blockMs }) => sum + blockMs, 0)
  const usual = Math.max(FEWEST_ROUNDS, Math.min(MOST_ROUNDS, Math.floor(ENOUGH_MS / roundMs)))
  const rounds = options.rounds ?? usual
  const names = peaksFor(device, dtype, quantize)
  for (let round = 0; round < rounds; round++) {
    onProgress?.(`${title}, round ${round + 1} of ${rounds}`)
    // Every other round backwards: nobody is always the one after another.
    for (const entrant of round % 2 ? entrants.toReversed() : entrants) {
      throwIfAborted(signal)
      const { contender, blockCalls, blockMs, blocks, peaks } = entrant
      const sampling = { names, blockMs, signal }
      const before = await sampleProducts(device, sampling)
      const works = await unlessPeerFails(session, entrant !== entrants[0], async () => {
        blocks.push(await contender.run(rows, calls(blockCalls), steps))
      })
      if (works) peaks.push((before + (await sampleProducts(device, sampling))) / 2)
      else entrants = entrants.filter((other) => other !== entrant)
    }
  }
  const standings: Standing[] = []
  for (const entrant of entrants) standings.push(await standingOf(entrant, entrants[0], flops))
  return {
    workload: workload.name,
    title: workload.title,
    rows,
    flops,
    rounds,
    steps,
    peak: median(entrants.flatMap(({ peaks }) => peaks)),
    standings,
    missing: [...missing],
  }
}

/** The first run, whose output is kept, and how long others take. */
async function warmUp(
  { contender, loaded }: Pick<Entrant, 'contender' | 'loaded'>,
  rows: number,
  same: Call,
  calls: (count: number) => Call[],
): Promise<Entrant> {
  const { ms: firstMs, values: output } = await contender.output(rows, same)
  const warmMs = firstMs > SLOW_MS ? firstMs : median(await contender.run(rows, calls(1), 1))
  return { contender, loaded, firstMs, output, warmMs }
}

/** Blocks of whole runs. */
function runnerOf(entrant: Entrant, steps: number): Runner {
  const { warmMs } = entrant
  const blockCalls = wholeRuns(Math.min(MOST_RUNS, BLOCK_MS / warmMs), steps)
  return { ...entrant, blockCalls, blockMs: warmMs * blockCalls, blocks: [], peaks: [] }
}

async function standingOf(entrant: Runner, own: Runner | undefined, flops: number): Promise<Standing> {
  const { contender, loaded, firstMs, output, blocks, peaks } = entrant
  const ms = spread(blocks.flat())
  const standing: Standing = {
    name: contender.name,
    ...loaded,
    firstMs,
    ms,
    flopsPerSecond: (flops * 1e3) / ms.p50,
    ofPeak: median(blocks.map((block, round) => (flops * 1e3) / median(block) / (peaks[round] ?? Number.NaN))),
    peakMemoryBytes: await contender.peakMemoryBytes(),
  }
  if (own === undefined || own === entrant) return standing
  return {
    ...standing,
    ratio: median(blocks.map((block, round) => median(block) / median(own.blocks[round] ?? []))),
    distance: relativeL2(output, own.output),
  }
}
