/** Whole networks, beside peers that run in turns with them: short blocks, so that whatever else the machine does falls on all. */

import path from 'node:path'
import type { Device, DeviceOptions } from '../bindings'
import type { OwnLoad } from './child'
import { type Call, Contender, type ContenderCommand, type Loaded } from './contender'
import { peaksFor, sampleProducts } from './peaks'
import { findPeers, type PeerOptions } from './peers'
import { median, type Spread, spread } from './statistics'
import type { Workload } from './workloads'

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
  /** For products, the median of what was measured around all blocks. */
  readonly peak: number
  /** We first. */
  readonly standings: readonly Standing[]
  readonly missing: readonly string[]
}

export interface NetworkSuiteOptions extends PeerOptions {
  readonly instructions?: DeviceOptions['instructions']
  readonly scratch: string
  /** @defaultValue as many as fit a minute, three to nine */
  readonly rounds?: number | undefined
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

/** A contender with what is known of it so far. */
interface Entrant {
  readonly contender: Contender
  readonly loaded: Loaded
}

/**
 * Measures one workload for every number of rows it asks for.
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
  const { found, missing } = findPeers(workload, options)
  const entrants: Entrant[] = []
  const unable = [...missing]
  try {
    for (const command of [ownCommand(workload, options), ...found]) {
      options.onProgress?.(`${workload.name}: loading ${command.name}`)
      const contender = new Contender(command)
      try {
        entrants.push({ contender, loaded: await contender.load(command) })
      } catch (error) {
        contender.dispose()
        if (entrants.length === 0) throw error
        unable.push(error instanceof Error ? error.message : String(error)) // a peer that does not run is said, not fatal
      }
    }
    const reports: NetworkReport[] = []
    for (const rows of workload.rows) {
      reports.push({ ...(await compare(workload, rows, device, flops, entrants, options)), missing: unable })
    }
    return reports
  } finally {
    for (const { contender } of entrants) contender.dispose()
  }
}

function ownCommand({ name }: Workload, options: NetworkSuiteOptions): ContenderCommand {
  const { instructions, threads, dtype, exported, scratch } = options
  const load: OwnLoad = {
    workload: name,
    threads,
    dtype,
    scratch,
    ...(instructions ? { instructions } : {}),
    ...(exported ? { exported } : {}),
  }
  return { name: 'irodori', command: process.execPath, args: [path.join(__dirname, 'child.js')], load: { ...load } }
}

async function compare(
  workload: Workload,
  rows: number,
  device: Device,
  flops: number,
  entrants: readonly Entrant[],
  { dtype, rounds: asked, signal, onProgress }: NetworkSuiteOptions,
): Promise<Omit<NetworkReport, 'missing'>> {
  const names = peaksFor(device, dtype)
  let turn = 0
  const calls = (count: number): Call[] => Array.from({ length: count }, () => workload.inputs(rows, ++turn))
  const firsts: number[] = []
  const outputs: Float32Array[] = []
  const counts: number[] = []
  const blockMs: number[] = []
  const same = workload.inputs(rows, 1)
  for (const { contender } of entrants) {
    signal?.throwIfAborted()
    onProgress?.(`${workload.name}: ${rows} ${rows === 1 ? 'row' : 'rows'}, ${contender.name} for the first time`)
    const { ms: first, values } = await contender.output(rows, same)
    firsts.push(first)
    outputs.push(values)
    const warm = first > SLOW_MS ? first : median(await contender.run(rows, calls(1)))
    counts.push(Math.min(MOST_RUNS, Math.max(1, Math.ceil(BLOCK_MS / warm))))
    blockMs.push(warm * (counts.at(-1) ?? 1))
  }
  const roundMs = blockMs.reduce((sum, ms) => sum + ms, 0)
  const rounds = asked ?? Math.max(FEWEST_ROUNDS, Math.min(MOST_ROUNDS, Math.floor(ENOUGH_MS / roundMs)))
  const times = entrants.map((): number[][] => [])
  const peaks = entrants.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    onProgress?.(`${workload.name}: ${rows} ${rows === 1 ? 'row' : 'rows'}, round ${round + 1} of ${rounds}`)
    // Every other round backwards: nobody is always the one after another.
    const order = [...entrants.keys()]
    for (const index of round % 2 ? order.reverse() : order) {
      signal?.throwIfAborted()
      const sampling = { names, blockMs: blockMs[index] ?? 0, signal }
      const before = await sampleProducts(device, sampling)
      const block = (await entrants[index]?.contender.run(rows, calls(counts[index] ?? 1))) ?? []
      times[index]?.push([...block])
      peaks[index]?.push((before + (await sampleProducts(device, sampling))) / 2)
    }
  }
  const own = times[0] ?? []
  const standings: Standing[] = []
  for (const [index, { contender, loaded }] of entrants.entries()) {
    const blocks = times[index] ?? []
    const ms = spread(blocks.flat())
    const around = peaks[index] ?? []
    standings.push({
      name: contender.name,
      ...loaded,
      firstMs: firsts[index] ?? Number.NaN,
      ms,
      flopsPerSecond: (rows * flops * 1e3) / ms.p50,
      ofPeak: median(
        blocks.map((block, round) => (rows * flops * 1e3) / median(block) / (around[round] ?? Number.NaN)),
      ),
      peakMemoryBytes: await contender.peakMemoryBytes(),
      ...(index === 0
        ? {}
        : {
            ratio: median(blocks.map((block, round) => median(block) / median(own[round] ?? []))),
            distance: relativeL2(outputs[index], outputs[0]),
          }),
    })
  }
  return {
    workload: workload.name,
    title: workload.title,
    rows,
    flops: rows * flops,
    rounds,
    peak: median(peaks.flat()),
    standings,
  }
}

function relativeL2(got: Float32Array | undefined, want: Float32Array | undefined): number {
  if (!got || !want || got.length !== want.length) return Number.NaN
  let difference = 0
  let norm = 0
  for (const [i, value] of want.entries()) {
    difference += ((got[i] ?? 0) - value) ** 2
    norm += value ** 2
  }
  return Math.sqrt(difference / norm)
}
