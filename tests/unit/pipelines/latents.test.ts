/** Latents start where the frameworks start them, channels last, and are scaled as the autoencoder says. */

import { describe, expect, it } from 'vitest'
import {
  channelsFirst,
  decoderInput,
  encodedLatent,
  initialLatent,
  joinChannels,
  pictureNoise,
} from '../../../src/pipelines/latents'
import { flowLevel } from '../../../src/samplers/level'
import { hostLatent } from '../../../src/tensor/latent'
import { philoxNormals } from '../../../src/tensor/philox'
import { torchRandom } from '../../../src/tensor/torchRandom'

const size = { channels: 3, height: 2, width: 4 }

describe('pictureNoise', () => {
  it.each(['philox', 'torch-cpu'] as const)('%s is drawn as [C, h, w] and laid out as [h, w, C]', (rng) => {
    const planar = rng === 'philox' ? philoxNormals(7, 0n, 24) : torchRandom(7).randn(24)
    const initial = pictureNoise(rng, 7n, size).draw('initial')
    expect(initial.shape).toEqual([2, 4, 3])
    for (let c = 0; c < 3; c++) {
      for (let cell = 0; cell < 8; cell++) expect(initial.data[cell * 3 + c]).toBe(planar[c * 8 + cell])
    }
  })

  it('draws what an encoder gives before the start where diffusers does', () => {
    const random = torchRandom(7)
    const [first, second, third] = [random.randn(24), random.randn(24), random.randn(24)]
    const noise = pictureNoise('torch-cpu', 7n, size, ['init', 'initial', 'masked'])
    expect(channelsFirst(noise.draw('init'))).toEqual(first)
    expect(channelsFirst(noise.draw('initial'))).toEqual(second)
    expect(channelsFirst(noise.draw('masked'))).toEqual(third)
    expect(channelsFirst(noise.between(flowLevel(0.9, 900), flowLevel(0.5, 500)))).toEqual(random.randn(24))
    const philox = pictureNoise('philox', 7n, size, ['init', 'initial', 'masked'])
    expect(philox.draw('initial')).toEqual(pictureNoise('philox', 7n, size).draw('initial'))
    expect(philox.draw('init').data).not.toEqual(philox.draw('masked').data)
    expect(() => pictureNoise('philox', 7n, size).draw('init')).toThrow(RangeError)
  })

  it('differs by seed and by interval, and is the same when asked again', () => {
    const [high, middle, low] = [flowLevel(0.9, 900), flowLevel(0.5, 500), flowLevel(0.1, 100)]
    const noise = pictureNoise('philox', 7n, size)
    const first = noise.between(high, middle).data
    expect(noise.between(middle, low).data).not.toEqual(first)
    expect(noise.between(high, middle).data).toEqual(first)
    expect(pictureNoise('philox', 8n, size).draw('initial').data).not.toEqual(noise.draw('initial').data)
  })
})

describe('scaling', () => {
  it('multiplies the start and undoes the autoencoder’s scale and shift', () => {
    const noise = { draw: () => hostLatent(Float32Array.of(1, -2)), between: () => hostLatent(new Float32Array(2)) }
    expect([...initialLatent(noise, 3).data]).toEqual([3, -6])
    expect([...decoderInput(hostLatent(Float32Array.of(1, -2)), { scale: 2, shift: 0.25 })]).toEqual([0.75, -0.75])
  })
})

describe('encodedLatent', () => {
  const cells = { channels: 1, height: 1, width: 2 }
  const scaling = { scale: 2, shift: 1 }
  it('scales a latent, and draws from a distribution whose logarithm of variance is cut', () => {
    const never = () => {
      throw new Error('nothing to draw')
    }
    expect([...encodedLatent(Float32Array.of(3, 5), cells, scaling, never).data]).toEqual([4, 8])
    const draw = () => hostLatent(Float32Array.of(10, -1))
    const output = Float32Array.of(3, 2 * Math.log(0.5), 5, -1000) // mean, log variance
    const drawn = encodedLatent(output, cells, scaling, draw).data
    expect(drawn[0]).toBeCloseTo((3 + 5 - 1) * 2, 5)
    expect(drawn[1]).toBeCloseTo((5 - Math.exp(-15) - 1) * 2, 5)
  })
})

it('puts channels side by side', () => {
  expect([...joinChannels([Float32Array.of(1, 2, 3, 4), Float32Array.of(5, 6)], 2)]).toEqual([1, 2, 5, 3, 4, 6])
})
