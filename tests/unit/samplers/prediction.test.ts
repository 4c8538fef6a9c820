/** Predictions: every type of output gives the same data back. */

import { expect, test } from 'vitest'
import { flowLevel, type Level, preservingLevel } from '../../../src/samplers/level'
import { type Prediction, toX0 } from '../../../src/samplers/prediction'
import { hostLatent } from '../../../src/tensor/latent'

const data = [0.3, -1.7, 2.5]
const noise = [1.1, 0.2, -0.6]

/** What a perfect network of each type puts out for one element. */
const outputs: Readonly<Record<Prediction, (x0: number, z: number, level: Level) => number>> = {
  epsilon: (_, z) => z,
  v: (x0, z, { alpha, sigma }) => alpha * z - sigma * x0,
  x0: (x0) => x0,
  flow: (x0, z) => z - x0,
}

const levels: readonly [string, Level, readonly Prediction[]][] = [
  ['variance-preserving', preservingLevel(1.3, 0), ['epsilon', 'v', 'x0', 'flow']],
  ['almost clean', preservingLevel(0.03, 0), ['epsilon', 'v', 'x0', 'flow']],
  ['pure noise', preservingLevel(Number.POSITIVE_INFINITY, 0), ['v', 'x0', 'flow']],
  ['flow', flowLevel(0.6, 0), ['epsilon', 'x0', 'flow']],
]

test.each(levels.flatMap(([name, level, kinds]) => kinds.map((kind) => [kind, name, level] as const)))(
  '%s on %s levels',
  (kind, _, level) => {
    const x = data.map((x0, i) => level.alpha * x0 + level.sigma * (noise[i] ?? 0))
    const output = data.map((x0, i) => outputs[kind](x0, noise[i] ?? 0, level))
    const x0 = toX0(kind, hostLatent(Float32Array.from(output)), hostLatent(Float32Array.from(x)), level)
    data.forEach((want, i) => {
      expect(x0.data[i]).toBeCloseTo(want, 5)
    })
  },
)

test('epsilon says nothing about the data of pure noise', () => {
  const z = hostLatent(Float32Array.from(noise))
  expect(() => toX0('epsilon', z, z, flowLevel(1, 0))).toThrowError(
    expect.objectContaining({ code: 'invalid-argument' }),
  )
})
