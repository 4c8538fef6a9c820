/** Milliseconds of a request by stage. */

import { performance } from 'node:perf_hooks'
import type { Timings } from './result'

/** Adds up what was spent since the last lap, stage by stage. */
export class StageClock {
  readonly #started = performance.now()
  #last = this.#started
  readonly #spent = { textMs: 0, encodeMs: 0, denoiseMs: 0, decodeMs: 0, upscaleMs: 0 }

  lap(stage: Exclude<keyof Timings, 'totalMs'>): void {
    const now = performance.now()
    this.#spent[stage] += now - this.#last
    this.#last = now
  }

  timings(): Timings {
    return { ...this.#spent, totalMs: performance.now() - this.#started }
  }
}
