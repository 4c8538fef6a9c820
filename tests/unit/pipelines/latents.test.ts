/** Latents start where the frameworks start them, channels last, and are scaled as the autoencoder says. */

import { describe, expect, it } from 'vitest'
import { decoderInput, initialLatent, pictureNoise } from '../../../src/pipelines/latents'
import { flowLevel } from '../../../src/samplers/level'
import { hostLatent } from '../../../src/tensor/latent'
import { philoxNormals } from '../../../src/tensor/philox'
import { torchRandom } from '../../../src/tensor/torchRandom'

const size = { channels: 3, height: 2, width: 4 }

describe('pictureNoise', () => {
  it.each(['philox', 'torch-cpu'] as const)('%s is drawn as [C, h, w] and laid out as [h, w, C]', (rng) => {
    const planar = rng === 'philox' ? philoxNormals(7, 0n, 24) : torchRandom(7).randn(24)
    const { initial } = pictureNoise(rng, 7n, size)
    expect(initial.shape).toEqual([2, 4, 3])
    for (let c = 0; c < 3; c++) {
      for (let cell = 0; cell < 8; cell++) expect(initial.data[cell * 3 + c]).toBe(planar[c * 8 + cell])
    }
  })

  it('differs by seed and by interval, and is the same when asked again', () => {
    const [high, middle, low] = [flowLevel(0.9, 900), flowLevel(0.5, 500), flowLevel(0.1, 100)]
    const noise = pictureNoise('philox', 7n, size)
    const first = noise.between(high, middle).data
    expect(noise.between(middle, low).data).not.toEqual(first)
    expect(noise.between(high, middle).data).toEqual(first)
    expect(pictureNoise('philox', 8n, size).initial.data).not.toEqual(noise.initial.data)
  })
})

describe('scaling', () => {
  it('multiplies the start and undoes the autoencoder’s scale and shift', () => {
    const noise = { initial: hostLatent(Float32Array.of(1, -2)), between: () => hostLatent(new Float32Array(2)) }
    expect([...initialLatent(noise, 3).data]).toEqual([3, -6])
    expect([...decoderInput(hostLatent(Float32Array.of(1, -2)), { scale: 2, shift: 0.25 })]).toEqual([0.75, -0.75])
  })
})
