/** What `irodori bench` prints for people. */

import type { BenchReport } from '../bench/benchRun'
import type { NetworkReport } from '../bench/networkSuite'
import type { OpsReport, OpsRow } from '../bench/opsSuite'
import type { PeakRate } from '../bench/peaks'
import { formatBytes, formatCount, formatMs, formatTable } from './output'

/** Rows of a table of steps before the rest is summed up. */
const SHOWN_STEPS = 20

const percent = (share: number) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`
/** Steps of small networks take microseconds. */
const stepTime = (ms: number) => (ms < 1 ? `${(ms * 1000).toFixed(0)} us` : formatMs(ms))
const rate = (perSecond: number, unit: string) => `${formatCount(perSecond)}${unit}`

/** `f32`, `f32 with int8`. */
function typeText({ dtype, quantize }: Pick<BenchReport['device'], 'dtype' | 'quantize'>): string {
  return quantize === 'none' ? dtype : `${dtype} with ${quantize}`
}

/** Machine and device, one line each. */
export function machineLines({ machine, device }: Pick<BenchReport, 'machine' | 'device'>): string[] {
  const { cpu, instanceType, instructionSets, caches, memoryBytes, platform, versions } = machine
  return [
    `${cpu}${instanceType ? ` (${instanceType})` : ''}: ${instructionSets.join(' ')}`,
    `${machine.threads} threads, ${caches.join(', ')}, ${formatBytes(memoryBytes)}, ${platform}; ${Object.entries(
      versions,
    )
      .map((pair) => pair.join(' '))
      .join(', ')}`,
    `measured on ${device.arithmetic} in ${typeText(device)}, ${device.threads} threads`,
  ]
}

export function peaksTable(peaks: readonly PeakRate[]): string {
  return formatTable([
    ['peak', 'one thread', 'all threads'],
    ...peaks.map(({ name, unit, oneThread, allThreads }) => [name, rate(oneThread, unit), rate(allThreads, unit)]),
  ])
}

/** `calls`, `calls, 20 of them the steps of one run`. */
function callsText(steps: number): string {
  return steps > 1 ? `calls, ${steps} of them the steps of one run` : 'calls'
}

/** Where the time of one network goes. */
export function opsText(report: OpsReport): string {
  const { workload, title, rows, runs, stepsOfRun, ms, stepsMs, peaks, steps, kernels, products, passes } = report
  const shown = steps.slice(0, SHOWN_STEPS)
  const int8 = report.quantize === 'int8' ? `, over int8 ${rate(peaks.int8, 'OP/s')}` : ''
  const rest = steps.slice(SHOWN_STEPS)
  const header = ['kernel', 'shape', 'count', 'time', 'share', 'rate', 'memory', 'of peak']
  const restLine = rest.length === 0 ? [] : [restRow(rest)]
  return [
    `${workload}: ${title}, ${rows} ${rows === 1 ? 'row' : 'rows'}, ${typeText(report)}: ${formatMs(ms)}, ${formatMs(stepsMs)} of it in steps, median of ${runs} ${callsText(stepsOfRun)}`,
    `peaks beside them: products ${rate(peaks.products, 'FLOP/s')}${int8}, read ${rate(peaks.read, 'B/s')}, read and write ${rate(peaks.copy, 'B/s')}`,
    '',
    formatTable([header, ...shown.map(stepRow), ...restLine]),
    '',
    formatTable([header, ...kernels.map(stepRow), stepRow(products), stepRow(passes)]),
    '',
    `a call moves ${formatBytes(report.movedBytes)}; products alone, a perfect fusion, ${formatBytes(report.fusedBytes)} (${percent(report.fusedBytes / report.movedBytes)})`,
  ].join('\n')
}

function stepRow({ kernel, shape, count, ms, share, flops, bytes, bound, ofPeak }: OpsRow): string[] {
  return [
    kernel,
    shape,
    String(count),
    stepTime(ms),
    percent(share),
    flops > 0 ? rate((flops * 1e3) / ms, 'FLOP/s') : '',
    rate((bytes * 1e3) / ms, 'B/s'),
    `${percent(ofPeak)} ${bound === 'flops' ? '' : 'of memory'}`.trim(),
  ]
}

function restRow(rest: readonly OpsRow[]): string[] {
  const sum = (of: (row: OpsRow) => number) => rest.reduce((total, row) => total + of(row), 0)
  return [
    `${rest.length} others`,
    '',
    String(sum(({ count }) => count)),
    stepTime(sum(({ ms }) => ms)),
    percent(sum(({ share }) => share)),
  ]
}

/** Whole networks beside their peers. */
export function networkText({
  workload,
  title,
  rows,
  flops,
  rounds,
  steps,
  peak,
  standings,
  missing,
}: NetworkReport): string {
  const header = ['', 'median', '10 % to 90 %', 'first', 'load', 'rate', 'of peak', 'memory', 'irodori is', 'distance']
  return [
    `${workload}: ${title}, ${rows} ${rows === 1 ? 'row' : 'rows'}, ${rate(flops, 'FLOP')}, ${rounds} rounds of ${callsText(steps)}, peak ${rate(peak, 'FLOP/s')}`,
    '',
    formatTable([
      header,
      ...standings.map(({ name, ms, firstMs, loadMs, flopsPerSecond, ofPeak, peakMemoryBytes, ratio, distance }) => [
        name,
        formatMs(ms.p50),
        `${formatMs(ms.p10)} to ${formatMs(ms.p90)}`,
        formatMs(firstMs),
        formatMs(loadMs),
        rate(flopsPerSecond, 'FLOP/s'),
        percent(ofPeak),
        formatBytes(peakMemoryBytes),
        ratio === undefined ? '' : `${ratio.toFixed(2)}x`,
        distance === undefined ? '' : distance.toExponential(1),
      ]),
    ]),
    ...missing.map((why) => `  ${why}`),
  ].join('\n')
}
