/**
 * The coordinates in which a path is straight where x0 is constant: what methods that average slopes work in.
 *
 * With y = x / k and s = sigma / k the probability flow is dy/ds = (y - x0) / s. k is alpha on variance-preserving and
 * variance-exploding levels, where s is Karras' sigma and the slope is the noise; it is 1 on flow levels, where s is the
 * share of noise and the slope the velocity.
 */

import { type Latent, lincomb } from '../tensor/latent'
import { type Level, lambda } from './level'
import type { SamplerReply } from './sampler'
import type { Path, Schedule } from './schedule'

/** k; 0 at pure noise except on flow levels, and s is infinite there. */
export function straightScale(path: Path, level: Level): number {
  switch (path) {
    case 'flow':
      return level.alpha + level.sigma
    case 'preserving':
    case 'exploding':
      return level.alpha
    default:
      return path satisfies never
  }
}

/** dy/ds = (x - k x0) / sigma. */
export function straightSlope({ x, x0 }: SamplerReply, k: number, level: Level): Latent {
  return lincomb([1 / level.sigma, x], [-k / level.sigma, x0])
}

/** The level of the schedule's curve with that s. */
export function straightLevel(schedule: Schedule, s: number): Level {
  return schedule.at(schedule.path === 'flow' ? lambda({ alpha: 1 - s, sigma: s, t: 0 }) : -Math.log(s))
}
