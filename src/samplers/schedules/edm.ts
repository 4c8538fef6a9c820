/**
 * Variance-exploding schedules of EDM models: x = x0 + sigma noise, sigma from 80 to 0.
 *
 * Karras, Aittala, Aila, Laine 2022, arXiv:2206.00364, eq. 5 and table 1.
 */

import { invalidOption } from '../../text/givenOptions'
import { explodingLevel } from '../level'
import { readOptions } from '../options'
import { makeSchedule, type Schedule } from '../schedule'
import { exponential } from './exponential'
import { karras } from './karras'

/** Options of {@link edmSchedule}. */
export interface EdmScheduleOptions {
  /** Noise of the first level. @defaultValue 80 */
  readonly sigmaMax?: number
  /** Noise of the last level but one. @defaultValue 0.002 */
  readonly sigmaMin?: number
  /** How much closer together the clean levels are, along Karras' curve. @defaultValue 7 */
  readonly rho?: number
  /** The curve. @defaultValue 'karras' */
  readonly curve?: 'karras' | 'exponential'
  /** Whether clean data follows, or the last level is repeated. @defaultValue 'clean' */
  readonly end?: 'clean' | 'repeat'
}

/**
 * n levels spaced by {@link karras} or {@link exponential}, then clean data. The network is told c_noise = ln(sigma) / 4.
 *
 * A run starts from noise of standard deviation sigma_max.
 *
 * @param n - steps, from 1.
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when a value is wrong.
 */
export function edmSchedule(n: number, options: EdmScheduleOptions = {}): Schedule {
  if (!Number.isInteger(n) || n < 1) throw invalidOption('steps', 'a whole number from 1', n)
  const { sigmaMax, sigmaMin, rho, curve, end } = readOptions(
    'edmSchedule',
    { ...options },
    {
      sigmaMax: { default: 80, min: 1e-6, max: 1e6 },
      sigmaMin: { default: 0.002, min: 1e-6, max: 1e6 },
      rho: { default: 7, min: 1, max: 100 },
      curve: { default: 'karras', words: ['karras', 'exponential'] },
      end: { default: 'clean', words: ['clean', 'repeat'] },
    },
  )
  if (sigmaMin > sigmaMax) throw invalidOption('sigmaMin', `at most sigmaMax, ${sigmaMax}`, sigmaMin)
  const level = (sigma: number) => (sigma === 0 ? clean : explodingLevel(sigma, Math.log(sigma) / 4))
  const clean = explodingLevel(0, Math.log(sigmaMin) / 4) // no network is told its time; ln 0 would not be finite
  const sigmas = curve === 'karras' ? karras(sigmaMax, sigmaMin, n, rho) : exponential(sigmaMax, sigmaMin, n)
  const last = end === 'clean' ? 0 : (sigmas[n - 1] ?? 0)
  return makeSchedule('exploding', [...sigmas, last].map(level), {
    at: (lambda) => level(lambda === Number.POSITIVE_INFINITY ? 0 : Math.exp(-lambda)),
    atShare: ({ alpha, sigma }, share) => level((share * sigma) / alpha),
  })
}
