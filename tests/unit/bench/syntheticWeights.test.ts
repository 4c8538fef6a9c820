/** Weights that nobody trained: every tensor has its shape and scale, tensors of one scale share their bytes. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { writeSyntheticWeights } from '../../../src/bench/syntheticWeights'
import { elements } from '../../../src/tensor/shape'
import { toFloat32 } from '../../../src/tensor/widen'
import { readTensor } from '../../../src/weights'
import { scratch } from '../weights/scratch'

const { folder } = scratch()

describe('writeSyntheticWeights', () => {
  const needed = [
    { name: 'a.weight', shape: [300, 1024] },
    { name: 'b.weight', shape: [1000, 1024] },
    { name: 'norm.weight', shape: [64] },
    { name: 'norm.bias', shape: [64] },
  ]
  it('gives every tensor its shape and a scale that keeps activations near one', async () => {
    const file = path.join(folder, 'weights.bin')
    const { tensors } = await writeSyntheticWeights(file, needed)
    expect([...tensors.values()].map(({ name, shape }) => ({ name, shape }))).toEqual(
      expect.arrayContaining(needed.map(({ name, shape }) => ({ name, shape }))),
    )
    const { size } = statSync(file)
    expect(size).toBe(2 * (1000 * 1024 + 64 + 64)) // a and b have the same fan-in
    for (const { name, shape } of needed) {
      const entry = tensors.get(name)
      if (!entry) throw new Error(name)
      expect(entry.end).toBeLessThanOrEqual(size)
      const values = toFloat32(await readTensor(entry))
      expect(values.length).toBe(elements(shape))
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
      const [wantMean, wantDeviation] =
        name === 'norm.weight' ? [1, 0.125] : name === 'norm.bias' ? [0, 0.125] : [0, 1 / 32]
      expect(Math.abs(mean - wantMean)).toBeLessThan(0.1 * (wantMean + wantDeviation) + 0.01)
      expect(deviation / wantDeviation).toBeGreaterThan(0.7)
      expect(deviation / wantDeviation).toBeLessThan(1.4)
    }
  })

  it('never writes over a file', async () => {
    const file = path.join(folder, 'twice.bin')
    await writeSyntheticWeights(file, needed)
    await expect(writeSyntheticWeights(file, needed)).rejects.toMatchObject({ code: 'EEXIST' })
  })
})
