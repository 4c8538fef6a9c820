/**
 * DEIS, log-rho form: Zhang, Chen 2023, "Fast sampling of diffusion models with exponential integrator",
 * arXiv:2204.13902, eq. 15 and appendix H.2 (rho-AB), the polynomial being one in ln rho.
 *
 * The steps that fall back to lower orders are those of diffusers.
 */

import { type Latent, lincomb } from '../tensor/latent'
import { firstOrder } from './firstOrder'
import { orderOf } from './multistep'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link deis}. */
export interface DeisOptions {
  /** How many estimates of the noise are joined, 1 to 3. @defaultValue 2 */
  readonly order?: number
  /** Lower the order of the last steps when there are fewer than 15. @defaultValue true */
  readonly lowerOrderFinal?: boolean
}

/**
 * DEIS.
 *
 * rho = sigma / alpha, e = (x - alpha x0) / sigma: x' / alpha' = x / alpha + sum over j of e_j times the integral from rho
 * to rho' of L_j(ln r) dr, L_j(u) = product over i != j of (u - u_i) / (u_j - u_i), u = ln rho.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function deis(options: DeisOptions = {}): Sampler {
  const { order, lowerOrderFinal } = readOptions(
    'deis',
    { ...options },
    { order: { default: 2, min: 1, max: 3, whole: true }, lowerOrderFinal: { default: true } },
  )
  return function* (x, schedule) {
    const past: { readonly u: number; readonly e: Latent }[] = [] // newest first
    const steps = schedule.steps()
    for (const [index, [level, next]] of steps.entries()) {
      const reply = yield { x, level }
      if (level.alpha === 0) {
        x = firstOrder(reply, level, next) // from pure noise, where rho is infinite
        continue
      }
      const { alpha, sigma } = level
      past.unshift({ u: Math.log(sigma / alpha), e: lincomb([1 / sigma, reply.x], [-alpha / sigma, reply.x0]) })
      past.splice(orderOf(schedule, index, { order, lowerOrderFinal }))
      const nodes = past.map(({ u }) => u)
      const [from = 0] = nodes
      const to = Math.log(next.sigma / next.alpha)
      const weights = nodes.map((_, j) => exponentialIntegral(nodes, j, to) - exponentialIntegral(nodes, j, from))
      x = lincomb(
        [next.alpha / alpha, reply.x],
        ...past.map(({ e }, j) => [next.alpha * (weights[j] ?? 0), e] as const),
      )
    }
    return x
  }
}

/** The antiderivative of e^u L_j(u): e^u (L_j - L_j' + L_j''), L_j being of degree 2 at most; 0 at u = -infinity. */
function exponentialIntegral(nodes: readonly number[], j: number, u: number): number {
  if (u === Number.NEGATIVE_INFINITY) return 0
  const own = nodes[j] ?? Number.NaN
  const others = nodes.filter((_, i) => i !== j)
  const scale = others.reduce((product, other) => product * (own - other), 1)
  const [a, b] = others
  if (a === undefined) return Math.exp(u)
  if (b === undefined) return (Math.exp(u) * (u - a - 1)) / scale
  return (Math.exp(u) * ((u - a) * (u - b) - (2 * u - a - b) + 2)) / scale
}
