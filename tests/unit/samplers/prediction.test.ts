/** Predictions: every type of output gives the same data back. */

import { describe, expect, test } from 'vitest'
import { explodingLevel, flowLevel, type Level, preservingLevel } from '../../../src/samplers/level'
import { edmPrediction, PREDICTIONS, type Prediction, type PredictionName } from '../../../src/samplers/prediction'
import { hostLatent } from '../../../src/tensor/latent'

const data = [0.3, -1.7, 2.5]
const noise = [1.1, 0.2, -0.6]
const SIGMA_DATA = 0.7
const adapters: Readonly<Record<PredictionName, Prediction>> = {
  ...PREDICTIONS,
  edm: edmPrediction({ sigmaData: SIGMA_DATA }),
}

/** What a perfect network of each type puts out for one element. */
const outputs: Readonly<Record<PredictionName, (x0: number, z: number, level: Level) => number>> = {
  epsilon: (_, z) => z,
  v: (x0, z, { alpha, sigma }) => alpha * z - sigma * x0,
  x0: (x0) => x0,
  flow: (x0, z) => z - x0,
  // (x0 - c_skip x) / c_out in the paper's terms, where x is x / alpha and s is sigma / alpha
  edm(x0, z, { alpha, sigma }) {
    if (alpha === 0) return x0 / SIGMA_DATA
    const s = sigma / alpha
    const q = Math.hypot(s, SIGMA_DATA)
    return (x0 - (SIGMA_DATA / q) ** 2 * (x0 + s * z)) / ((s * SIGMA_DATA) / q)
  },
}

const levels: readonly [string, Level, readonly PredictionName[]][] = [
  ['variance-preserving', preservingLevel(1.3, 0), ['epsilon', 'v', 'x0', 'flow', 'edm']],
  ['almost clean', preservingLevel(0.03, 0), ['epsilon', 'v', 'x0', 'flow', 'edm']],
  ['pure noise', preservingLevel(Number.POSITIVE_INFINITY, 0), ['v', 'x0', 'flow', 'edm']],
  ['flow', flowLevel(0.6, 0), ['epsilon', 'x0', 'flow', 'edm']],
  ['variance-exploding', explodingLevel(80, 0), ['epsilon', 'x0', 'flow', 'edm']],
]

test.each(levels.flatMap(([name, level, kinds]) => kinds.map((kind) => [kind, name, level] as const)))(
  '%s on %s levels',
  (kind, _, level) => {
    const x = data.map((x0, i) => level.alpha * x0 + level.sigma * (noise[i] ?? 0))
    const output = data.map((x0, i) => outputs[kind](x0, noise[i] ?? 0, level))
    const adapter = adapters[kind]
    const x0 = adapter.toX0(hostLatent(Float32Array.from(output)), hostLatent(Float32Array.from(x)), level)
    // x0 is what remains of terms as large as x, each rounded to float32 (2^-24), with room for three of them.
    const tolerance = 2 ** -22 * Math.max(1, ...x.map(Math.abs))
    data.forEach((want, i) => {
      expect(Math.abs((x0.data[i] ?? Number.NaN) - want)).toBeLessThan(tolerance)
    })
  },
)

test('epsilon says nothing about the data of pure noise', () => {
  const z = hostLatent(Float32Array.from(noise))
  expect(() => PREDICTIONS.epsilon.toX0(z, z, flowLevel(1, 0))).toThrowError(
    expect.objectContaining({ code: 'invalid-argument' }),
  )
})

describe('what the network is given', () => {
  test('is x itself, except by EDM', () => {
    const x = hostLatent(Float32Array.from(noise))
    for (const prediction of Object.values(PREDICTIONS)) expect(prediction.input(x, flowLevel(0.4, 0))).toBe(x)
  })

  test('has variance 1 at every level by EDM: c_in = 1 / sqrt(sigma^2 + sigma_data^2)', () => {
    const x = hostLatent(Float32Array.of(1))
    for (const sigma of [0.002, 1, 80]) {
      const given = edmPrediction({ sigmaData: 0.9 }).input(x, explodingLevel(sigma, 0))
      expect(given.data[0]).toBeCloseTo(1 / Math.sqrt(sigma ** 2 + 0.81), 6)
    }
  })

  test('EDM networks of diffusers that predict v have the opposite sign of c_out', () => {
    const [x, out] = [hostLatent(Float32Array.of(0.7)), hostLatent(Float32Array.of(0.3))]
    const opposite = hostLatent(Float32Array.of(-0.3))
    const level = explodingLevel(2, 0)
    expect(edmPrediction({ output: 'v' }).toX0(opposite, x, level).data).toEqual(
      edmPrediction().toX0(out, x, level).data,
    )
  })

  test('a sigma_data that is no deviation is refused', () => {
    for (const sigmaData of [0, Number.NaN, -1]) {
      expect(() => edmPrediction({ sigmaData })).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
    }
  })
})
