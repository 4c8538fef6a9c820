/** The denoiser of a pipeline on its device: rows of any texts to outputs, with ControlNets where they speak. */

import type { NetworkRow } from '../bindings'
import { ControlRun } from './controlRun'
import type { DenoiserRow } from './denoise'
import type { DenoiserSession, SessionPlan } from './model'
import { groupsOf } from './network'
import { cellsOf } from './sizes'
import { type DenoiserParts, latentOf, stateOf, type TextLease, TextLeases } from './textLeases'

/**
 * Makes the denoiser ready: runs what depends on texts and times alone for the whole schedule at once.
 *
 * @throws AbortError when the signal fires.
 */
export async function openSession(
  parts: DenoiserParts,
  plan: SessionPlan,
  signal: AbortSignal,
): Promise<DenoiserSession> {
  const { network, conditions } = parts
  const cells = cellsOf(plan.size, parts.pixelsPerCell)
  const shared = conditions(plan.size, plan.guidance)
  const opened = new TextLeases(network, cells, shared, plan)
  const controlled = new ControlRun(parts, cells, shared, plan)
  const close = () => {
    opened.dispose()
    controlled.dispose()
  }
  try {
    await opened.prepare(signal)
  } catch (error) {
    close()
    throw error
  }
  return {
    async denoise(rows, stop) {
      const outputs = new Map<DenoiserRow, Float32Array>()
      for (const [textLength, some] of byTextLength(rows)) {
        const hints = some[0]?.controls ?? []
        const made =
          hints.length > 0
            ? await controlled.run(textLength, some, hints, stop)
            : await runPlain(parts, await opened.get(textLength, stop), some, stop)
        some.forEach((row, i) => {
          const output = made[i]
          if (output) outputs.set(row, firstChannels(output, parts.channels, cells.width * cells.height))
        })
      }
      return rows.map((row) => outputs.get(row) ?? new Float32Array(0))
    },
    [Symbol.dispose]: close,
  }
}

/** Rows by the length their texts are compiled for: each length is a network of its own. */
function byTextLength(rows: readonly DenoiserRow[]): Map<number, DenoiserRow[]> {
  const groups = new Map<number, DenoiserRow[]>()
  for (const row of rows) {
    const group = groups.get(row.text.textLength)
    if (group) group.push(row)
    else groups.set(row.text.textLength, [row])
  }
  return groups
}

async function runPlain(
  parts: DenoiserParts,
  { lease, states }: TextLease,
  rows: readonly DenoiserRow[],
  signal: AbortSignal,
): Promise<Float32Array[]> {
  const made: Float32Array[] = []
  for (const some of groupsOf(rows, lease)) {
    const inputs = some.map((row): NetworkRow => ({ ...stateOf(states, row), inputs: latentOf(parts, row) }))
    for (const { sample = new Float32Array(0) } of await lease.network.run(inputs, { signal, arrays: 'lent' })) {
      made.push(sample)
    }
  }
  return made
}

/** Without the learned variance: channels 0 to C - 1 of each cell. `[h, w, C'] -> [h, w, C]`. */
function firstChannels(output: Float32Array, channels: number, cells: number): Float32Array {
  const width = output.length / cells
  if (width === channels) return output
  const means = new Float32Array(cells * channels) // [h, w, C]
  for (let cell = 0; cell < cells; cell++) {
    means.set(output.subarray(cell * width, cell * width + channels), cell * channels)
  }
  return means
}
