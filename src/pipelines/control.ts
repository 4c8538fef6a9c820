/** ControlNets: which of them speak at which evaluation, as diffusers' pipelines decide it. */

import type { ControlHint } from './denoise'

/** A hint and the share of the run in which it is followed. */
export interface TimedHint extends ControlHint {
  readonly interval: readonly [start: number, end: number]
}

/**
 * The ControlNets at work at evaluation `index` of `of`: those whose interval holds the whole of it, from index / of to
 * (index + 1) / of. Where it is none, the plain network runs.
 */
export function controlsAt(controls: readonly TimedHint[], index: number, of: number): readonly ControlHint[] {
  return controls.filter(
    ({ scale, interval: [start, end] }) => scale !== 0 && index / of >= start && (index + 1) / of <= end,
  )
}
