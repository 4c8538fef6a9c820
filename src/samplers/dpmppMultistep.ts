/**
 * The multistep solvers of the DPM-Solver++ family, for the probability flow and for the reverse stochastic equation:
 * Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models",
 * arXiv:2211.01095, algorithm 2 and its appendix; third order and eta as in k-diffusion (`sample_dpmpp_3m_sde`).
 *
 * What differs: e^-h is written as alpha sigma' / (alpha' sigma), so pure noise (lambda = -inf) and clean data
 * (lambda = inf) need no special values.
 *
 * Two traps upstream. D2 estimates half of h^2 D'', so by its formula the third order lacks a factor 2: as published, and
 * as kept here and everywhere, it converges with order 2 and a small constant (UniPC of order 3 without its corrector is
 * the same solver with the factor). And in diffusers' third-order stochastic step the 1/2 of phi_3 has the wrong sign;
 * here, as in k-diffusion, it has the right one (its order is tested).
 */

import { type Latent, lincomb, type Term } from '../tensor/latent'
import { lambda } from './level'
import { type OrderRule, orderOf } from './multistep'
import type { Sampler } from './sampler'

/** How the second order is reached: D1 weighted by half of the first order's weight, or by phi_2. */
export type DpmppSolverType = 'midpoint' | 'heun'

/** The words of {@link DpmppSolverType}. */
export const SOLVER_TYPES = ['midpoint', 'heun'] as const satisfies readonly DpmppSolverType[]

/** What tells the members of the family apart. */
export interface DpmppRule extends OrderRule {
  readonly order: 2 | 3
  readonly solverType: DpmppSolverType
  /** Share of fresh noise: 0 is the probability flow, 1 the reverse stochastic equation. */
  readonly eta: number
  /** Standard deviation of the fresh noise. */
  readonly noiseScale: number
}

/**
 * One member.
 *
 * h = lambda' - lambda, H = (1 + eta) h, phi_2 = (e^-H - 1) / H + 1, phi_3 = phi_2 / H - 1 / 2;
 * x' = sigma' / sigma e^(-eta h) x + alpha' (1 - e^-H) D + W1 D1 - alpha' phi_3 D2 + sigma' sqrt(1 - e^(-2 eta h)) z,
 * W1 = alpha' phi_2 or, for the midpoint type at second order, alpha' (1 - e^-H) / 2.
 *
 * D = x0; with r_0 = h_1 / h, r_1 = h_2 / h, d_0 = (D - D_1) / r_0, d_1 = (D_1 - D_2) / r_1: D1 = d_0, D2 = 0 at second
 * order; D1 = d_0 + r_0 D2, D2 = (d_0 - d_1) / (r_0 + r_1) at third.
 */
export function dpmppMultistep(rule: DpmppRule): Sampler {
  const { eta, noiseScale, solverType } = rule
  return function* (x, schedule, noise) {
    let past: { readonly x0: Latent; readonly lambda: number }[] = [] // newest first
    for (const [index, [level, next]] of schedule.steps().entries()) {
      const reply = yield { x, level }
      past = [{ x0: reply.x0, lambda: lambda(level) }, ...past].slice(0, orderOf(schedule, index, rule))
      const [newest, second, third] = past.filter(({ lambda }, i) => i === 0 || lambda > Number.NEGATIVE_INFINITY)

      const shrink = (level.alpha * next.sigma) / (next.alpha * level.sigma) // e^-h
      const kept = (next.sigma / level.sigma) * shrink ** eta
      const c = next.alpha - level.alpha * kept // alpha' (1 - e^-H)
      const terms: Term[] = [[kept, reply.x]]
      const h = lambda(next) - lambda(level)
      if (newest === undefined || second === undefined || h === 0) {
        terms.push([c, reply.x0])
      } else {
        const phi2 = next.alpha - c / ((1 + eta) * h) // times alpha'
        const r0 = (newest.lambda - second.lambda) / h
        if (third === undefined) {
          const w = (solverType === 'midpoint' ? c / 2 : phi2) / r0
          terms.push([c + w, newest.x0], [-w, second.x0])
        } else {
          const phi3 = phi2 / ((1 + eta) * h) - next.alpha / 2 // times alpha'
          const r1 = (second.lambda - third.lambda) / h
          const w2 = (phi2 * r0 - phi3) / (r0 + r1) // of d_0 - d_1
          const [w0, w1] = [(phi2 + w2) / r0, -w2 / r1]
          terms.push([c + w0, newest.x0], [w1 - w0, second.x0], [-w1, third.x0])
        }
      }
      const up = noiseScale * next.sigma * Math.sqrt(Math.max(0, 1 - shrink ** (2 * eta)))
      if (up > 0) terms.push([up, noise(level, next)])
      x = lincomb(...terms)
    }
    return x
  }
}
