/** The closed-form denoiser of a Gaussian, and schedules to run it on: what samplers are tested with. */

import { type Level, preservingLevel } from '../../../src/samplers/level'
import type { Prediction } from '../../../src/samplers/prediction'
import type { SamplerReply, SamplerRequest } from '../../../src/samplers/sampler'
import { makeSchedule, type Schedule } from '../../../src/samplers/schedule'
import { edmSchedule } from '../../../src/samplers/schedules/edm'
import { exponential } from '../../../src/samplers/schedules/exponential'
import { flowSchedule } from '../../../src/samplers/schedules/flow'
import { trainingTable } from '../../../src/samplers/schedules/trainingTable'
import { asHost, type HostLatent, hostLatent, type Latent, type LatentSpace } from '../../../src/tensor/latent'

/** x0 ~ N(MEAN, DEVIATION^2) in every element. */
export const MEAN = 0.7
export const DEVIATION = 0.4

/** E[x0 | x] = m + alpha c^2 / (alpha^2 c^2 + sigma^2) (x - alpha m). */
export function denoise(x: HostLatent, level: Level): HostLatent {
  return hostLatent(
    x.data.map((value) => estimate(value, level)),
    x.shape,
  )
}

/** {@link denoise} of one number. */
function estimate(x: number, { alpha, sigma }: Level): number {
  const gain = (alpha * DEVIATION ** 2) / ((alpha * DEVIATION) ** 2 + sigma ** 2)
  return MEAN + gain * (x - alpha * MEAN)
}

/** A latent in float64: what is left of errors below float32's rounding. */
export interface Doubles extends Latent {
  readonly values: readonly number[]
}

const doublesSpace: LatentSpace = {
  name: 'doubles',
  combine(terms) {
    const [first] = terms
    if (first === undefined) throw new Error('no terms')
    const sum = (i: number) =>
      terms.reduce(
        (total, [coefficient, latent]) => total + coefficient * (asDoubles(latent).values[i] ?? Number.NaN),
        0,
      )
    return doubles(asDoubles(first[1]).values.map((_, i) => sum(i)))
  },
}

export function doubles(values: readonly number[]): Doubles {
  return { space: doublesSpace, values }
}

export function asDoubles(latent: Latent): Doubles {
  if (latent.space !== doublesSpace) throw new Error(`expected doubles, got ${latent.space.name}`)
  return latent as Doubles
}

/** Answers a sampler with {@link denoise} in float64. */
export function answerDoubles({ x, level }: SamplerRequest): SamplerReply {
  return { x, x0: doubles(asDoubles(x).values.map((value) => estimate(value, level))) }
}

/** Answers a sampler with {@link denoise}. */
export function answer({ x, level }: SamplerRequest): SamplerReply {
  return { x, x0: denoise(asHost(x), level) }
}

/**
 * Answers through a network: {@link denoise} is turned into what a perfect network of that prediction puts out for its
 * scaled input, and back.
 *
 * The network is linear in x and in 1, so its output is found from toX0 at outputs 0 and 1.
 */
export function answerBy(prediction: Prediction): (request: SamplerRequest) => SamplerReply {
  return ({ x: opaque, level }) => {
    const x = asHost(opaque)
    const given = prediction.input(x, level)
    const scale = prediction.input(single(1), level).data[0] ?? Number.NaN
    const unscaled = hostLatent(
      given.data.map((value) => value / scale),
      x.shape,
    )
    const skip = prediction.toX0(single(0), single(1), level).data[0] ?? Number.NaN
    const out = prediction.toX0(single(1), single(0), level).data[0] ?? Number.NaN
    const data = denoise(unscaled, level).data
    const output = data.map((x0, i) => (x0 - skip * (unscaled.data[i] ?? Number.NaN)) / out)
    return { x, x0: prediction.toX0(hostLatent(output, x.shape), x, level) }
  }
}

/** Where the deterministic flow takes `x` from one level to another: (x - alpha m) / sqrt(alpha^2 c^2 + sigma^2) stays. */
export function exact(x: number, from: Level, to: Level): number {
  const scale = ({ alpha, sigma }: Level) => Math.hypot(alpha * DEVIATION, sigma)
  return to.alpha * MEAN + ((x - from.alpha * MEAN) / scale(from)) * scale(to)
}

/**
 * Where the reverse stochastic equation without its noise takes `x`: in s = sigma / alpha its drift is (1 + eta) times
 * that of the flow.
 */
export function exactDrift(x: number, from: Level, to: Level, eta: number): number {
  const scale = ({ alpha, sigma }: Level) => Math.hypot(DEVIATION, sigma / alpha)
  const deviation = (x / from.alpha - MEAN) * (scale(to) / scale(from)) ** (1 + eta)
  return to.alpha * (MEAN + deviation)
}

/** The training table of Stable Diffusion. */
export const SD_TABLE = trainingTable({
  schedule: 'scaled_linear',
  betaStart: 0.00085,
  betaEnd: 0.012,
  timesteps: 1000,
  zeroTerminalSnr: false,
})

/** n steps evenly spaced in lambda over the table, ending at its cleanest level (not at sigma = 0). */
export function evenSchedule(n: number): Schedule {
  const ratios = exponential(SD_TABLE.ratioAt(999), SD_TABLE.ratioAt(0), n + 1)
  return makeSchedule(
    'preserving',
    ratios.map((ratio) => preservingLevel(ratio, SD_TABLE.timeOf(ratio))),
    SD_TABLE,
  )
}

/** n flow steps evenly spaced in s from `from` to 0. */
export function evenFlow(n: number, from = 1): Schedule {
  return flowSchedule(
    Array.from({ length: n }, (_, i) => from * (1 - i / n)),
    1000,
    false,
  )
}

/** n EDM steps from sigma 80 to 0.002, ending there (not at sigma = 0). */
export function edmToMin(n: number): Schedule {
  const whole = edmSchedule(n + 1)
  return makeSchedule(whole.path, whole.levels.slice(0, -1), whole)
}

/** A latent of one value. */
export function single(value: number): HostLatent {
  return hostLatent(Float32Array.of(value))
}

/** Noise for samplers that must not ask for any. */
export function noNoise(): never {
  throw new Error('a deterministic sampler asked for noise')
}
