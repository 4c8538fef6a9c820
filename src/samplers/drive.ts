/** Driving a sampler: request by request, or to the end with a callback. */

import { EngineError } from '../errors'
import type { Latent } from '../tensor/latent'
import type { Noise, Sampler, SamplerReply, SamplerRequest } from './sampler'
import type { Schedule } from './schedule'

/** A sampler under way. */
export interface SamplerRun {
  /** What it waits for; undefined once it has finished. */
  readonly request: SamplerRequest | undefined
  /** The latent at the last level; undefined until it has finished. */
  readonly result: Latent | undefined
  /**
   * Answers the request.
   *
   * @throws {@link EngineError} `invalid-argument` when there is none.
   */
  resume(reply: SamplerReply): void
}

/** Starts a sampler and runs it to its first request. */
export function startSampler(sampler: Sampler, x: Latent, schedule: Schedule, noise: Noise): SamplerRun {
  const run = sampler(x, schedule, noise)
  let turn = run.next()
  return {
    get request() {
      return turn.done ? undefined : turn.value
    },
    get result() {
      return turn.done ? turn.value : undefined
    },
    resume(reply) {
      if (turn.done) throw new EngineError('invalid-argument', 'sampler: expected a run under way, got a finished one')
      turn = run.next(reply)
    },
  }
}

/**
 * Runs a sampler to its end.
 *
 * @param answer - evaluates the network; `index` counts the evaluations from 0.
 * @returns the latent at the schedule's last level.
 */
export function runSampler(
  sampler: Sampler,
  x: Latent,
  schedule: Schedule,
  noise: Noise,
  answer: (request: SamplerRequest, index: number) => SamplerReply,
): Latent {
  const run = sampler(x, schedule, noise)
  let turn = run.next()
  for (let index = 0; !turn.done; index++) turn = run.next(answer(turn.value, index))
  return turn.value
}

/**
 * Runs a sampler to its end with an asynchronous network; stops at the first rejection.
 *
 * @param answer - evaluates the network; `index` counts the evaluations from 0.
 * @returns the latent at the schedule's last level.
 */
export async function runSamplerAsync(
  sampler: Sampler,
  x: Latent,
  schedule: Schedule,
  noise: Noise,
  answer: (request: SamplerRequest, index: number) => Promise<SamplerReply>,
): Promise<Latent> {
  const run = sampler(x, schedule, noise)
  let turn = run.next()
  for (let index = 0; !turn.done; index++) turn = run.next(await answer(turn.value, index))
  return turn.value
}
