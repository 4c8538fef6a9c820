/**
 * UniPC: Zhao, Bai, Rao, Zhou, Lu 2023, "UniPC: a unified predictor-corrector framework for fast sampling of diffusion
 * models", arXiv:2302.04867, algorithms 1 and 2 (multistep, data prediction).
 *
 * The corrector reuses the evaluation that the next step makes anyway, so a step costs one. What differs: it is written
 * as a change of the predicted latent, so an edit of that latent counts.
 */

import { type Latent, lincomb, type Term } from '../tensor/latent'
import { lambda } from './level'
import { orderOf } from './multistep'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link unipc}. */
export interface UnipcOptions {
  /** p, 1 to 3. @defaultValue 2 */
  readonly order?: number
  /** B(h) of the paper: h or e^h - 1. @defaultValue 'bh2' */
  readonly solverType?: 'bh1' | 'bh2'
  /** Whether each latent is corrected once its evaluation is there. @defaultValue true */
  readonly corrector?: boolean
  /** Order of the last steps at most the number of steps left. @defaultValue true */
  readonly lowerOrderFinal?: boolean
}

/** An estimate and where it was made. */
interface Estimate {
  readonly x0: Latent
  readonly lambda: number
}

/**
 * UniPC.
 *
 * H = -h, B = H or e^H - 1; r_k = (lambda_-k - lambda) / h, D_k = (m_-k - m) / r_k; r_p = 1, D_p = m' - m, m' the estimate
 * at the next level; R_ik = r_k^(i-1), b_i = i! phi_(i+1)(H) H / B.
 * Predictor: x' = sigma' / sigma x - alpha' (e^H - 1) m - alpha' B sum over k < p of rho_k D_k, R rho = b without the last
 * row and column (rho = 1/2 for p = 2). Corrector: the sum over k <= p, R rho = b (rho = 1/2 for p = 1).
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function unipc(options: UnipcOptions = {}): Sampler {
  const { order, solverType, corrector, lowerOrderFinal } = readOptions(
    'unipc',
    { ...options },
    {
      order: { default: 2, min: 1, max: 3, whole: true },
      solverType: { default: 'bh2', words: ['bh1', 'bh2'] },
      corrector: { default: true },
      lowerOrderFinal: { default: true },
    },
  )
  return function* (x, schedule) {
    const steps = schedule.steps()
    let past: readonly Estimate[] = [] // newest first
    let correct: ((estimate: Latent) => readonly Term[]) | undefined // of the step before
    for (const [index, [level, next]] of steps.entries()) {
      const reply = yield { x, level }
      const from = correct ? lincomb([1, reply.x], ...correct(reply.x0)) : reply.x
      const left = lowerOrderFinal ? steps.length - index : order
      const p = Math.min(order, left, orderOf(schedule, index, { order, lowerOrderFinal: false }))
      const usable = past.filter(({ lambda }) => lambda > Number.NEGATIVE_INFINITY)
      past = [{ x0: reply.x0, lambda: lambda(level) }, ...usable].slice(0, p)

      const [newest, ...older] = past
      if (newest === undefined) continue // never: it was just put there
      const h = lambda(next) - newest.lambda
      const B = solverType === 'bh1' ? -h : Math.expm1(-h)
      const ratios = older.map((estimate) => (estimate.lambda - newest.lambda) / h)
      /** -alpha' B sum of rho_k D_k. */
      const weighted = (rho: readonly number[]): Term[] =>
        older.flatMap((estimate, k): Term[] => {
          const weight = (-next.alpha * B * (rho[k] ?? 0)) / (ratios[k] ?? 1)
          return [
            [weight, estimate.x0],
            [-weight, newest.x0],
          ]
        })
      const predictor = ratios.length === 1 ? [1 / 2] : solve(ratios, moments(-h, B, ratios.length))
      const r = next.sigma / level.sigma
      x = lincomb([r, from], [next.alpha - level.alpha * r, newest.x0], ...weighted(predictor))

      correct = undefined
      if (!corrector || h === 0 || !Number.isFinite(B)) continue // no B from pure noise on with bh1
      const full = ratios.length === 0 ? [1 / 2] : solve([...ratios, 1], moments(-h, B, ratios.length + 1))
      const change = full.map((rho, k) => rho - (predictor[k] ?? 0))
      const last = -next.alpha * B * (full[ratios.length] ?? 0)
      correct = (estimate) => [...weighted(change), [last, estimate], [-last, newest.x0]]
    }
    return x
  }
}

/** b_i = i! phi_(i+1)(H) H / B for i = 1 ... count; phi_1(H) = (e^H - 1) / H, phi_(i+1) = (phi_i - 1 / i!) / H. */
function moments(H: number, B: number, count: number): number[] {
  const b: number[] = []
  let phiTimesH = Math.expm1(H) / H - 1 // phi_2 H
  let factorial = 1
  for (let i = 1; i <= count; i++) {
    factorial *= i
    b.push((phiTimesH * factorial) / B)
    phiTimesH = phiTimesH / H - 1 / (factorial * (i + 1))
  }
  return b
}

/** rho with sum over k of r_k^(i-1) rho_k = b_i, for up to three r. */
function solve(r: readonly number[], b: readonly number[]): number[] {
  const [r1 = 0, r2 = 0, r3 = 0] = r
  const [b1 = 0, b2 = 0, b3 = 0] = b
  switch (r.length) {
    case 0:
      return []
    case 1:
      return [b1]
    case 2:
      return [(b2 - r2 * b1) / (r1 - r2), (b2 - r1 * b1) / (r2 - r1)]
    default: {
      const rho = (a: number, c: number, own: number) => (b3 - (a + c) * b2 + a * c * b1) / ((own - a) * (own - c))
      return [rho(r2, r3, r1), rho(r1, r3, r2), rho(r1, r2, r3)]
    }
  }
}
