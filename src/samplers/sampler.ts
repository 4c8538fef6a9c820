/** The contract of a sampler: a generator that asks for x0 at levels and does nothing but linear combinations. */

import type { Latent } from '../tensor/latent'
import type { Level } from './level'
import type { Schedule } from './schedule'

/** What a sampler asks: the data x0 that `x` at `level` stands for. */
export interface SamplerRequest {
  readonly x: Latent
  readonly level: Level
  /** Set where the step under way has asked before, as Heun's second evaluation. */
  readonly inner?: true
}

/** The answer to a {@link SamplerRequest}. */
export interface SamplerReply {
  /** The latent the answer is about: the one asked, or an edited one (inpainting). */
  readonly x: Latent
  /** The network's estimate of the data, guidance included. */
  readonly x0: Latent
  /** The estimate without the prompt, for samplers that use it (CFG++). */
  readonly uncond?: Latent
}

/**
 * Noise of variance 1 for the interval between two levels.
 *
 * Pure: the same interval gives the same noise, however often and in whatever order it is asked for.
 */
export type Noise = (from: Level, to: Level) => Latent

/**
 * A solver of the denoising equation, from the latent at the schedule's first level to the one at its last.
 *
 * It keeps no state outside the call, so one sampler serves any number of interleaved requests.
 */
export type Sampler = (x: Latent, schedule: Schedule, noise: Noise) => Generator<SamplerRequest, Latent, SamplerReply>
