/** Pictures become files of every format, and files say how to make the picture again. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatOfFile, IMAGE_FORMATS } from '../../../src/images/format'
import { checkTarget, makeImage, resizeImage } from '../../../src/images/image'
import { type Provenance, provenanceFromXmp, provenanceToXmp } from '../../../src/images/metadata'
import { toBytes } from '../../../src/images/pixels'
import { readMetadata } from '../../../src/images/readMetadata'

const provenance: Provenance = {
  software: 'irodori',
  version: '1.2.3',
  model: { name: 'emoji', hash: 'abc' },
  seed: 7,
  rng: 'philox',
  sampler: 'dpmpp2m',
  schedule: 'karras',
  steps: 8,
  guidance: 2.5,
  width: 24,
  height: 16,
  device: { backend: 'cpu', arithmetic: 'avx2' },
  dtype: 'f32',
}
const awkward = '赤いりんご <&> "q" \u0000\u0085\uffff \ud800 🍎\n]]>'

/** A smooth picture, so that lossy formats stay near it. */
function picture(width = 24, height = 16, metadata: Provenance | undefined = provenance) {
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < data.length; i++) data[i] = (i % 3) * 60 + Math.floor(i / 3 / width) * 4
  return makeImage(data, width, height, metadata)
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-images-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe.each(IMAGE_FORMATS)('%s', (format) => {
  it('keeps size, colours and metadata', async () => {
    const image = picture()
    const file = path.join(folder, `picture.${format}`)
    await image.save(file)
    const { data, info } = await sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true })
    expect([info.width, info.height, info.channels]).toEqual([24, 16, 3])
    const worst = Math.max(...data.map((value, i) => Math.abs(value - (image.data[i] ?? 0))))
    expect(worst).toBeLessThanOrEqual(format === 'png' ? 0 : 12)
    expect(await readMetadata(file)).toEqual(provenance)
    expect(await readMetadata(await image.encode(format))).toEqual(provenance)
  })

  it('keeps prompts that XML and JSON find hard', async () => {
    const image = picture(24, 16, { ...provenance, prompt: awkward })
    expect((await readMetadata(await image.encode(format)))?.prompt).toBe(awkward)
  })

  it('says nothing when metadata is off', async () => {
    const bytes = await makeImage(picture().data, 24, 16).encode(format)
    expect(await readMetadata(bytes)).toBeUndefined()
    expect(Buffer.from(bytes).includes('irodori')).toBe(false)
  })
})

describe('opacity', () => {
  const sticker = makeImage(Uint8Array.of(200, 100, 50, 255, 10, 20, 30, 128, 255, 255, 255, 0), 3, 1, provenance, 4)

  it.each(IMAGE_FORMATS.filter((format) => format !== 'jpeg'))('is kept by %s', async (format) => {
    const bytes = await sticker.encode(format)
    const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true })
    expect([info.width, info.height, info.channels]).toEqual([3, 1, 4])
    const opacity = [data[3], data[7], data[11]].map((got, i) => Math.abs((got ?? 0) - ([255, 128, 0][i] ?? 0)))
    expect(Math.max(...opacity)).toBeLessThanOrEqual(format === 'avif' ? 12 : 0)
    if (format === 'png') expect([...data]).toEqual([...sticker.data])
    expect(await readMetadata(bytes)).toEqual(provenance)
  })

  it('is refused by JPEG, also before there is a picture', async () => {
    const message = /expected one of png, webp, avif, which keep transparency, got jpeg/
    const file = path.join(folder, 'sticker.jpg')
    for (const work of [() => sticker.encode('jpeg'), () => sticker.save(file), () => checkTarget(file, {}, true)]) {
      await expect(work()).rejects.toMatchObject({ name: 'EngineError', code: 'unsupported-format' })
      await expect(work()).rejects.toThrow(message)
    }
    await expect(readFile(file)).rejects.toThrow('ENOENT')
    await expect(checkTarget(file)).resolves.toBeUndefined()
  })

  it('keeps what is hidden from showing when it is resized', async () => {
    const data = Uint8Array.from({ length: 16 * 16 }, (_, i) => [255, 0, 0, i % 64 < 32 ? 255 : 0][i % 4] ?? 0)
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] === 0) data.set([0, 255, 0], i)
    const { channels, data: small } = await resizeImage(makeImage(data, 16, 4, undefined, 4), 8, 2)
    expect([channels, small.length]).toEqual([4, 64])
    for (let i = 0; i < small.length; i += 4) {
      if ((small[i + 3] ?? 0) <= 2) continue
      expect(small[i]).toBeGreaterThanOrEqual(254)
      expect(small[i + 1]).toBe(0)
    }
  })
})

describe('save', () => {
  it.each([
    ['picture.gif', 'unsupported-format', /ending in .png/],
    ['picture', 'unsupported-format', /got no extension/],
    ['nowhere/picture.png', 'missing-file', /existing folder/],
  ])('refuses %s', async (name, code, message) => {
    const saving = picture().save(path.join(folder, name))
    await expect(saving).rejects.toMatchObject({ name: 'EngineError', code })
    await expect(saving).rejects.toThrow(message)
  })

  it.each([0, 101, 1.5, Number.NaN])('refuses quality %d', async (quality) => {
    await expect(picture().encode('jpeg', { quality })).rejects.toMatchObject({ code: 'invalid-option' })
  })

  it.each([
    ['webp', 16_383],
    ['avif', 16_384],
    ['jpeg', 65_500],
  ] as const)('refuses sides too long for %s', async (format, longest) => {
    const strip = (height: number) => makeImage(new Uint8Array(height * 3), 1, height)
    expect((await strip(longest).encode(format)).length).toBeGreaterThan(0)
    const encoding = strip(longest + 1).encode(format)
    await expect(encoding).rejects.toMatchObject({ name: 'EngineError', code: 'unsupported-format' })
    await expect(encoding).rejects.toThrow(`expected sides of at most ${longest} for ${format}, got 1x${longest + 1}`)
    expect((await strip(longest + 1).encode('png')).length).toBeGreaterThan(0)
  })

  it('refuses a quality for PNG and obeys it for JPEG', async () => {
    await expect(picture().encode('png', { quality: 50 })).rejects.toMatchObject({ code: 'invalid-option' })
    const [small, large] = [
      await picture().encode('jpeg', { quality: 10 }),
      await picture().encode('jpeg', { quality: 99 }),
    ]
    expect(small.length).toBeLessThan(large.length)
  })

  it.each<[string, () => Promise<unknown>, string]>([
    ['no file', () => picture().save(undefined as unknown as string), 'invalid-argument'],
    ['a number as file', () => picture().save(7 as unknown as string), 'invalid-argument'],
    ['no format', () => picture().encode(undefined as unknown as 'png'), 'unsupported-format'],
    ['null as options', () => picture().encode('png', null as unknown as object), 'invalid-option'],
    ['null as options of a file', () => picture().save('x.png', null as unknown as object), 'invalid-option'],
    ['a misspelt quality', () => picture().save('x.webp', { qualty: 5 } as object), 'unknown-option'],
    ['a signal that is none', () => picture().encode('png', { signal: 'x' } as object), 'invalid-option'],
    ['a quality in words', () => picture().encode('webp', { quality: '5' } as object), 'invalid-option'],
  ])('refuses %s', async (_, work, code) => {
    await expect(work()).rejects.toMatchObject({ name: 'EngineError', code })
  })

  it('tells before there is a picture what saving would refuse', async () => {
    const existing = path.join(folder, 'existing.png')
    await writeFile(existing, '')
    await expect(checkTarget(existing)).resolves.toBeUndefined()
    await expect(checkTarget(path.join(folder, 'new.webp'), { quality: 5 })).resolves.toBeUndefined()
    await expect(checkTarget(existing, { quality: 5 })).rejects.toMatchObject({ code: 'invalid-option' })
    await expect(checkTarget(path.join(folder, 'a.gif'))).rejects.toMatchObject({ code: 'unsupported-format' })
    await expect(checkTarget(path.join(folder, 'no', 'a.png'))).rejects.toMatchObject({ code: 'missing-file' })
    await expect(checkTarget(path.join(existing, 'a.png'))).rejects.toMatchObject({ code: 'io' })
  })

  it('writes nothing after an abort', async () => {
    const file = path.join(folder, 'aborted.png')
    await expect(picture().save(file, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    await expect(readFile(file)).rejects.toThrow('ENOENT')
  })

  it('knows extensions in capitals', () => {
    expect(formatOfFile('A.JPG')).toBe('jpeg')
  })
})

describe('readMetadata', () => {
  it('names what is no picture, no file, or damaged', async () => {
    const file = path.join(folder, 'text.png')
    await writeFile(file, 'hello')
    await expect(readMetadata(file)).rejects.toMatchObject({ code: 'unsupported-format' })
    await expect(readMetadata(path.join(folder, 'none.png'))).rejects.toMatchObject({ code: 'missing-file' })
    for (const nothing of [undefined, null, 7, {}] as unknown as string[]) {
      await expect(readMetadata(nothing)).rejects.toMatchObject({ code: 'invalid-argument' })
    }
    const damaged = provenanceToXmp(provenance).replace('{', '{{')
    expect(() => provenanceFromXmp(damaged)).toThrow(/expected irodori's provenance/)
    expect(provenanceFromXmp('<x:xmpmeta/>')).toBeUndefined()
  })
})

describe('pixels', () => {
  it('rounds, cuts and crosses slices', async () => {
    expect([...(await toBytes(Float32Array.of(-2, -1, 0, 0.5, 1, 3, Number.NaN), -1, 1))]).toEqual([
      0, 0, 128, 191, 255, 255, 0,
    ])
    const many = new Float32Array(300_000).fill(1)
    expect((await toBytes(many, 0, 1)).every((byte) => byte === 255)).toBe(true)
  })

  it('resizes to the exact size', async () => {
    const small = await resizeImage(picture(), 12, 8)
    expect([small.width, small.height, small.data.length]).toEqual([12, 8, 288])
    expect(() => makeImage(new Uint8Array(5), 2, 1)).toThrow(/expected 6 bytes for 2x1x3, got 5/)
  })
})
