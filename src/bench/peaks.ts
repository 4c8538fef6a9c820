/** Peaks of the machine, measured in the same minutes as what is compared with them. */

import type { Device } from '../bindings'
import type { NetworkDType } from '../compile/compile'
import type { Quantization } from '../compile/passes/quantize'
import { median } from './statistics'

/** One rate at most. */
export interface PeakRate {
  readonly name: string
  readonly unit: 'FLOP/s' | 'OP/s' | 'B/s'
  readonly oneThread: number
  readonly allThreads: number
}

/** What a network's steps are compared with. */
export interface PeakNames {
  /** For matrix products, convolutions and attention. */
  readonly products: string
  /** For those over int8; the same name where the network has none. */
  readonly int8: string
  /** For what products read. */
  readonly read: string
  /** For passes over memory. */
  readonly copy: string
}

/** Rates of one moment. */
export interface PeakSample {
  readonly products: number
  readonly int8: number
  readonly read: number
  readonly copy: number
}

/** Rounds over all peaks: their medians hide what a neighbour does for a tenth of a second. */
const ROUNDS = 3
const TIME_MS = 60
/** Beside every block of work: a share of its time, so that long ones are not judged by one moment. */
const SAMPLE_SHARE = 0.03
const SHORTEST_SAMPLE_MS = 40
const LONGEST_SAMPLE_MS = 300

function sampleMs(blockMs: number): number {
  return Math.round(Math.min(LONGEST_SAMPLE_MS, Math.max(SHORTEST_SAMPLE_MS, SAMPLE_SHARE * blockMs)))
}

/** Every peak of the device, on one thread and on all; the rounds alternate. */
export async function measurePeaks(device: Device, signal?: AbortSignal): Promise<PeakRate[]> {
  const rates = new Map(device.peaks.map((name) => [name, { one: [] as number[], all: [] as number[] }]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, { one, all }] of rates) {
      one.push(await device.measurePeak(name, { threads: 1, timeMs: TIME_MS, signal }))
      all.push(await device.measurePeak(name, { timeMs: TIME_MS, signal }))
    }
  }
  return [...rates].map(([name, { one, all }]) => ({
    name,
    unit: unitOf(name),
    oneThread: median(one),
    allThreads: median(all),
  }))
}

function unitOf(name: string): PeakRate['unit'] {
  if (name.startsWith('memory')) return 'B/s'
  return name.includes('int8') ? 'OP/s' : 'FLOP/s'
}

/** From the best unit on. */
const INT8_PEAKS = ['tiles_int8', 'int8_vnni', 'int8_avx2']

/** Sets of instructions beside `avx512` with an arithmetic of bf16, and its peak. */
const BF16_PEAKS: Readonly<Record<string, string>> = { amx: 'tiles_bf16', avx512_bf16: 'bf16_avx512' }

/** The peaks that bound a network of a type. */
export function peaksFor(device: Device, dtype: NetworkDType, quantize: Quantization): PeakNames {
  const { arithmetic } = device.info
  const ofBf16 = BF16_PEAKS[arithmetic]
  const products = ofBf16 === undefined ? `fma_${arithmetic}` : dtype === 'bf16' ? ofBf16 : 'fma_avx512'
  const ofInt8 = quantize === 'int8' ? INT8_PEAKS.find((name) => device.peaks.includes(name)) : undefined
  return { products, int8: ofInt8 ?? products, read: 'memory_read', copy: 'memory_copy' }
}

/** Whose peaks, and for how long a block of work they are to stand. */
export interface SampleOptions {
  readonly names: PeakNames
  readonly blockMs: number
  readonly signal?: AbortSignal | undefined
}

/** The rates of this moment, all threads. */
export async function samplePeaks(device: Device, { names, blockMs, signal }: SampleOptions): Promise<PeakSample> {
  const measure = (name: string) => device.measurePeak(name, { timeMs: sampleMs(blockMs), signal })
  const products = await measure(names.products)
  return {
    products,
    int8: names.int8 === names.products ? products : await measure(names.int8),
    read: await measure(names.read),
    copy: await measure(names.copy),
  }
}

/** The rate of products alone: it needs no memory, and so leaves the caches as they are. */
export function sampleProducts(device: Device, { names, blockMs, signal }: SampleOptions): Promise<number> {
  return device.measurePeak(names.products, { timeMs: sampleMs(blockMs), signal })
}

/** Between the samples before and after a block of work. */
export function meanSample(a: PeakSample, b: PeakSample): PeakSample {
  const mean = (of: (sample: PeakSample) => number) => (of(a) + of(b)) / 2
  return {
    products: mean(({ products }) => products),
    int8: mean(({ int8 }) => int8),
    read: mean(({ read }) => read),
    copy: mean(({ copy }) => copy),
  }
}
