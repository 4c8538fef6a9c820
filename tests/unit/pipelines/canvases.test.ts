/** What runs start from: noise, a picture under noise, a picture with a part drawn anew; and when ControlNets speak. */

import { describe, expect, it } from 'vitest'
import { controlsAt } from '../../../src/pipelines/control'
import { enlargeLatent, hiresSize } from '../../../src/pipelines/hires'
import { type Encoded, latentCanvas, pictureCanvas } from '../../../src/pipelines/imageToImage'
import { maskedCanvas, withoutMasked } from '../../../src/pipelines/inpaint'
import { pictureNoise } from '../../../src/pipelines/latents'
import { emptyCanvas } from '../../../src/pipelines/textToImage'
import { flowLevel } from '../../../src/samplers/level'
import { scheduleFromConfig } from '../../../src/samplers/schedules/fromConfig'
import { hostLatent } from '../../../src/tensor/latent'

const size = { channels: 1, height: 2, width: 2 }
const config = { _class_name: 'FlowMatchEulerDiscreteScheduler', num_train_timesteps: 1000, shift: 1 }
const plan = (strength = 1) => scheduleFromConfig(config, 4, { strength })
const latent: Encoded = { output: Float32Array.of(1, 2, 3, 4), size, scaling: { scale: 1, shift: 0 } }
const normal: Encoded = { ...latent, output: Float32Array.of(1, 0, 2, 0, 3, 0, 4, 0) } // mean, log variance
const noiseOf = (canvas: { readonly draws: Parameters<typeof pictureNoise>[3] }) =>
  pictureNoise('philox', 7n, size, canvas.draws)
const numbers = (values: Iterable<number>) => [...values].map((value) => Math.round(value * 1e5) / 1e5)

describe('a start', () => {
  it('of nothing is noise', () => {
    const noise = noiseOf(emptyCanvas)
    expect(emptyCanvas.begin(noise, plan(), 0)).toEqual({ start: noise.draw('initial') })
  })

  it('of a picture is the picture under the noise of the first level', () => {
    const canvas = pictureCanvas(latent)
    expect(canvas.draws).toEqual(['initial'])
    const noise = noiseOf(canvas)
    const halfway = plan(0.5)
    const { sigma } = halfway.schedule.levels[halfway.schedule.first] ?? flowLevel(0, 0)
    expect(sigma).toBeGreaterThan(0.3)
    expect(sigma).toBeLessThan(0.7)
    const want = latent.output.map((x, i) => (1 - sigma) * x + sigma * (noise.draw('initial').data[i] ?? 0))
    expect(numbers(canvas.begin(noise, halfway, 0).start.data)).toEqual(numbers(want))
  })

  it('of a distribution is drawn anew for every picture', () => {
    const canvas = pictureCanvas(normal)
    expect(canvas.draws).toEqual(['init', 'initial'])
    const starts = [1n, 2n].map((seed) => canvas.begin(pictureNoise('philox', seed, size, canvas.draws), plan(0.5), 0))
    expect(starts[0]?.start.data).not.toEqual(starts[1]?.start.data)
  })

  it('of a first pass is the latent of the same picture', () => {
    const canvas = latentCanvas([hostLatent(new Float32Array(4), [2, 2, 1]), hostLatent(latent.output, [2, 2, 1])])
    const noise = noiseOf(canvas)
    const from = (index: number) => canvas.begin(noise, plan(0.5), index).start.data
    const difference = from(1).map((value, i) => value - (from(0)[i] ?? 0))
    const first = plan(0.5).schedule
    const alpha = first.levels[first.first]?.alpha ?? 0
    expect(numbers(difference)).toEqual(numbers(latent.output.map((value) => alpha * value)))
  })
})

describe('inpainting', () => {
  const pixels = { width: 4, height: 4 }
  const mask = new Float32Array(16)
  mask[2] = 1 // the upper left pixel of the second cell
  mask[5] = 1 // not the upper left pixel of any

  it('keeps the picture under the noise of every level where the mask is 0', () => {
    const canvas = maskedCanvas({ init: latent, mask, size: pixels, around: undefined, strength: 1 })
    const noise = noiseOf(canvas)
    const { start, edit } = canvas.begin(noise, plan(), 0)
    expect(start).toEqual(noise.draw('initial'))
    const x = hostLatent(Float32Array.of(10, 20, 30, 40), [2, 2, 1])
    const drawn = noise.draw('initial').data
    const level = flowLevel(0.25, 250)
    const kept = (i: number) => 0.75 * (latent.output[i] ?? 0) + 0.25 * (drawn[i] ?? 0)
    expect(numbers(edit?.(x, level).data ?? [])).toEqual(numbers([kept(0), 20, kept(2), kept(3)]))
    expect([...(edit?.(x, { alpha: 1, sigma: 0, t: 0 }).data ?? [])]).toEqual([1, 20, 3, 4])
  })

  it('starts from the picture below full strength', () => {
    const canvas = maskedCanvas({ init: normal, mask, size: pixels, around: undefined, strength: 0.5 })
    expect(canvas.draws).toEqual(['init', 'initial', 'masked'])
    const noise = noiseOf(canvas)
    const start = canvas.begin(noise, plan(0.5), 0).start.data
    expect(start).toEqual(pictureCanvas(normal).begin(noise, plan(0.5), 0).start.data)
  })

  it('gives models that read it the mask and what is around it', () => {
    const canvas = maskedCanvas({ init: latent, mask, size: pixels, around: latent, strength: 1 })
    const { beside, edit } = canvas.begin(noiseOf(canvas), plan(), 0)
    expect(edit).toBeUndefined()
    expect([...(beside ?? [])]).toEqual([0, 1, 1, 2, 0, 3, 0, 4])
    const drawn = { init: normal, mask, size: pixels, around: normal }
    expect(maskedCanvas({ ...drawn, strength: 1 }).draws).toEqual(['initial', 'masked'])
    expect(maskedCanvas({ ...drawn, strength: 0.9 }).draws).toEqual(['init', 'initial', 'masked'])
  })

  it('shows the encoder grey where it is drawn anew', () => {
    const picture = { data: Float32Array.of(0, 0.25, 1, 1, 0, 0.75), width: 2, height: 1 }
    expect([...withoutMasked(picture, Float32Array.of(0, 1)).data]).toEqual([0, 0.25, 1, 0.5, 0.5, 0.5])
  })
})

describe('controlsAt', () => {
  const control = (net: number, interval: readonly [number, number], scale = 1) => ({
    net,
    interval,
    scale,
    picture: { data: new Float32Array(0), width: 0, height: 0 },
  })
  it.each([
    [
      [0, 1],
      [0, 1, 2, 3],
    ],
    [
      [0, 0.5],
      [0, 1],
    ],
    [
      [0.5, 1],
      [2, 3],
    ],
    [[0.3, 0.9], [2]],
    [[0.3, 0.4], []],
  ] as const)('the interval %j of 4 evaluations holds %j', (interval, want) => {
    const active = [0, 1, 2, 3].filter((index) => controlsAt([control(0, interval)], index, 4).length > 0)
    expect(active).toEqual(want)
  })

  it('asks none of scale 0', () => {
    expect(controlsAt([control(0, [0, 1], 0), control(1, [0, 1])], 0, 1).map(({ net }) => net)).toEqual([1])
  })
})

describe('the second pass', () => {
  it('has sides that the model draws', () => {
    const sizes = { native: 64, multiple: 8, upscale: 1 }
    expect(hiresSize({ width: 64, height: 72 }, 1.3, { sizes })).toEqual({ width: 80, height: 88 })
  })

  it('starts from a latent enlarged as PyTorch does without aligned corners', () => {
    const { data, shape } = enlargeLatent(hostLatent(Float32Array.of(0, 1), [1, 2, 1]), { width: 4, height: 2 })
    expect(shape).toEqual([2, 4, 1])
    expect([...data]).toEqual([0, 0.25, 0.75, 1, 0, 0.25, 0.75, 1])
  })
})
