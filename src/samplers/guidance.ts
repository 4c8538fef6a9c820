/**
 * Classifier-free guidance and two refinements, around the call of the network.
 *
 * Ho, Salimans 2022, "Classifier-free diffusion guidance", arXiv:2207.12598, eq. 6. It is linear, hence the same on
 * epsilon, v, x0 and flow outputs; only the rescaling depends on which one it is given.
 */

import { EngineError } from '../errors'
import { type HostLatent, type Latent, lincomb } from '../tensor/latent'
import { type Level, noiseRatio } from './level'
import { readOptions } from './options'

/** How strongly the prompt is followed. */
export interface Guidance {
  /** w: 1 is the prompt alone, 0 no prompt. */
  readonly scale: number
  /** phi: share of the rescaled output, see {@link rescaleGuided}. @defaultValue 0 */
  readonly rescale?: number
  /**
   * Noise ratios sigma / alpha `[low, high]` outside which w is 1 (Kynkaanniemi et al. 2024, arXiv:2404.07724).
   * @defaultValue everywhere
   */
  readonly interval?: readonly [low: number, high: number] | undefined
}

/**
 * The guidance, checked.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when a value is NaN, out of range or not known.
 */
export function checkGuidance(guidance: Guidance): Guidance {
  const { interval, ...rest } = guidance
  readOptions('guidance', rest, {
    scale: { default: 1, min: 0, max: 1e3 },
    rescale: { default: 0, min: 0, max: 1 },
  })
  if (interval === undefined) return guidance
  const [low, high] = interval
  if (low >= 0 && high >= low) return guidance
  const expected = '0 <= low <= high'
  throw new EngineError('invalid-option', `guidance.interval: expected ${expected}, got [${interval.join(', ')}]`, {
    option: 'interval',
  })
}

/** w at a level; where it is 1 the unconditional row need not be run. */
export function guidanceScaleAt(guidance: Guidance, level: Level): number {
  if (guidance.interval === undefined) return guidance.scale
  const [low, high] = guidance.interval
  const ratio = noiseRatio(level)
  return ratio > low && ratio <= high ? guidance.scale : 1
}

/** u + w (c - u). */
export function guide<L extends Latent>(uncond: L, cond: L, scale: number): L {
  return lincomb([1 - scale, uncond], [scale, cond])
}

/**
 * Guidance rescaling against over-exposure: Lin, Liu, Li, Yang 2024, arXiv:2305.08891, eqs. 15 and 16.
 *
 * g' = phi g std(c) / std(g) + (1 - phi) g, the standard deviations over one sample.
 *
 * @param guided - g, the output of {@link guide}.
 * @param cond - c.
 * @param phi - share, 0 to 1.
 */
export function rescaleGuided(guided: HostLatent, cond: HostLatent, phi: number): HostLatent {
  const deviation = standardDeviation(guided.data)
  if (deviation === 0) return guided
  return lincomb([(phi * standardDeviation(cond.data)) / deviation + 1 - phi, guided])
}

/**
 * The network's output under guidance, from its rows with and without the prompt.
 *
 * @param guidance - checked.
 * @param level - where the network was run.
 */
export function applyGuidance(uncond: HostLatent, cond: HostLatent, guidance: Guidance, level: Level): HostLatent {
  const scale = guidanceScaleAt(guidance, level)
  if (scale === 1) return cond
  const guided = guide(uncond, cond, scale)
  return guidance.rescale ? rescaleGuided(guided, cond, guidance.rescale) : guided
}

function standardDeviation(values: Float32Array): number {
  let sum = 0
  for (const value of values) sum += value
  const mean = sum / values.length
  let squares = 0
  for (const value of values) squares += (value - mean) ** 2
  return Math.sqrt(squares / Math.max(1, values.length - 1)) // Bessel's correction, as torch.std; it cancels in ratios
}
