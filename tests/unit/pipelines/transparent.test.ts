/** Pictures cut out: by a decoder whose opacity is known, on a model whose answer is known. */

import { beforeEach, describe, expect, it } from 'vitest'
import { makeGrid } from '../../../src/images/grid'
import type { Image } from '../../../src/images/image'
import { layOn, WHITE } from '../../../src/images/opacity'
import type { GenerateOptions } from '../../../src/pipelines/generateOptions'
import type { PipelineModel } from '../../../src/pipelines/model'
import { optionsFromMetadata } from '../../../src/pipelines/optionsFromMetadata'
import type { DecodedPicture, FloatPicture } from '../../../src/pipelines/picture'
import { Pipeline } from '../../../src/pipelines/pipeline'
import { closedFormModel } from './closedFormModel'

let passes = 0
let pipe: Pipeline
beforeEach(async () => {
  passes = 0
  const { model } = await closedFormModel()
  const { codec } = model
  pipe = new Pipeline({
    ...model,
    abilities: { ...model.abilities, opacity: true },
    codec: { ...codec, decode: async (...args) => (await codec.decode(...args)).map(cutting) },
    upscale: nearest,
  })
})

/** Columns from clear on the left to whole on the right, of the value of the first pixel, on white. */
function cutting({ data: [value = 0], width, height }: FloatPicture): DecodedPicture {
  const opacity = Float32Array.from({ length: width * height }, (_, i) => (i % width) / (width - 1))
  const data = Float32Array.from({ length: width * height * 3 }, (_, i) => {
    const a = opacity[Math.floor(i / 3)] ?? 0
    return value * a + 1 - a
  })
  return { data, opacity, width, height }
}

/** Four times as large, every pixel repeated. */
const nearest: PipelineModel['upscale'] = async ({ data, width, height }) => {
  passes += 1
  const larger = Float32Array.from({ length: width * height * 16 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % (4 * width), Math.floor(i / (3 * 4 * width))]
    return data[(Math.floor(y / 4) * width + Math.floor(x / 4)) * 3 + (i % 3)] ?? 0
  })
  return { data: larger, width: width * 4, height: height * 4 }
}

/** The opacity of a pixel of a picture of 64 columns, a byte. */
const expectedOpacity = (x: number) => Math.floor((Math.floor(x / 4) / 15) * 255 + 0.5)

const base: GenerateOptions = { prompt: 'rocket', seed: 5, size: 64 }

async function first(options: GenerateOptions): Promise<Image> {
  const [image] = (await pipe.generate(options)).images
  if (image === undefined) throw new Error('no picture')
  return image
}

const opacityOf = ({ data }: Image) => data.filter((_, i) => i % 4 === 3)

describe('transparent', () => {
  it('cuts the picture out, which on white is the ordinary one', async () => {
    const [ordinary, cut] = [await first(base), await first({ ...base, transparent: true })]
    expect([ordinary.channels, ordinary.data.length]).toEqual([3, 64 * 64 * 3])
    expect([cut.channels, cut.data.length]).toEqual([4, 64 * 64 * 4])
    const line = [...opacityOf(cut)].slice(0, 64)
    expect(line).toEqual(Array.from({ length: 64 }, (_, x) => expectedOpacity(x)))
    const { data } = await layOn(cut, WHITE)
    expect(Math.max(...data.map((value, i) => Math.abs(value - (ordinary.data[i] ?? 0))))).toBeLessThanOrEqual(1)
    expect(new Set(ordinary.data).size).toBeGreaterThan(10)
  })

  it('is said in metadata, which makes the picture again', async () => {
    const cut = await first({ ...base, transparent: true })
    expect((await first(base)).metadata).not.toHaveProperty('transparent')
    expect(cut.metadata?.transparent).toBe(true)
    if (cut.metadata === undefined) throw new Error('no metadata')
    const again = await first({ prompt: 'rocket', ...optionsFromMetadata(cut.metadata) })
    expect(again.data).toEqual(cut.data)
    expect(again.metadata).toEqual(cut.metadata)
  })

  it.each([
    [16, 0, 0],
    [64, 1, 2],
    [256, 2, 4],
  ])('at size %d runs the upscaler %d times for the ordinary picture and %d times', async (size, ordinary, cut) => {
    await first({ ...base, size })
    expect(passes).toBe(ordinary)
    passes = 0
    const told: string[] = []
    for await (const event of pipe.stream({ ...base, size, transparent: true, preview: { every: 1 } })) {
      if (event.type === 'progress' && event.stage === 'upscale') told.push(`${event.done}/${event.of}`)
      if (event.type === 'preview') expect(event.image.channels).toBe(3)
      if (event.type === 'image') expect([event.image.channels, event.image.width]).toEqual([4, size])
    }
    expect(passes).toBe(cut)
    expect(told.at(-1)).toBe(cut === 0 ? undefined : `${cut}/${cut}`)
  })

  it('keeps what a mask keeps, with its own opacity', async () => {
    const init = {
      ...{ width: 64, height: 64, channels: 4 as const },
      data: Uint8Array.from({ length: 64 * 64 * 4 }, (_, i) => [200, 10, 60, Math.floor(i / 4) % 200][i % 4] ?? 0),
    }
    const right = Uint8Array.from({ length: 64 * 64 }, (_, i) => (i % 64 < 32 ? 0 : 255))
    const mask = { width: 64, height: 64, channels: 1 as const, data: right }
    const cut = await first({ ...base, init, mask, maskBlur: 0, transparent: true })
    const whole = await first({ ...base, init, mask, maskBlur: 0 })
    expect([cut.channels, whole.channels]).toEqual([4, 3])
    for (let i = 0; i < right.length; i++) {
      const got = [...cut.data.subarray(i * 4, i * 4 + 4)]
      if (right[i] === 0) expect(got).toEqual([...init.data.subarray(i * 4, i * 4 + 4)])
      else expect(got[3]).toBe(expectedOpacity(i % 64))
    }
  })

  it('lies in grids, whose metadata makes all of them again', async () => {
    const { images } = await pipe.generate({ ...base, count: 4, transparent: true })
    const grid = await makeGrid(images)
    expect([grid.width, grid.height, grid.channels]).toEqual([128, 128, 4])
    if (grid.metadata === undefined) throw new Error('no metadata')
    const again = await pipe.generate({ prompt: 'rocket', ...optionsFromMetadata(grid.metadata) })
    expect(again.images.map(({ data }) => data)).toEqual(images.map(({ data }) => data))
    expect((await makeGrid(again.images)).data).toEqual(grid.data)
  })
})
