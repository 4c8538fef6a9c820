/** The command line as a process: files, exit statuses, one document on stdout, one line on stderr. */

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readMetadata } from '../../src'
import { main, runCommand } from '../command'
import { readHeader } from '../golden/cases'

const models = path.resolve(__dirname, '..', '..', 'models')
let folder = ''
beforeAll(async () => {
  expect(existsSync(main), 'run npm run build:ts first').toBe(true)
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-cli-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const irodori = (...args: string[]) => runCommand(args, { cwd: folder })

const quick = ['--steps', '1', '--seed', '5', '--size', '64']

describe('generate', () => {
  it('writes the picture and says so', async () => {
    const { status, stdout, stderr } = await irodori(
      'generate',
      'a',
      'happy',
      'cat',
      '-o',
      'cat.png',
      '--steps',
      '2',
      '--seed',
      '7',
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^cat\.png {2}512x512 {2}seed 7\n[\d.]+ m?s \(text .*load .*\)\n$/)
    const { format, width, height } = await sharp(path.join(folder, 'cat.png')).metadata()
    expect({ format, width, height }).toEqual({ format: 'png', width: 512, height: 512 })
    expect(await readMetadata(path.join(folder, 'cat.png'))).toMatchObject({ seed: 7, steps: 2 })
  })

  it('prints one JSON document and nothing else', async () => {
    const { status, stdout, stderr } = await irodori(
      'generate',
      '寿司',
      '--json',
      '--count',
      '2',
      '-o',
      's.webp',
      ...quick,
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const document = JSON.parse(stdout)
    expect(document).toMatchObject({
      prompt: '寿司',
      images: [
        { file: 's-1.webp', width: 64, height: 64, seed: 5 },
        { file: 's-2.webp', width: 64, height: 64, seed: 6 },
      ],
      warnings: [],
      model: { name: 'emoji' },
    })
    expect(document.timings.totalMs).toBeGreaterThan(0)
    expect(await readdir(folder)).toEqual(expect.arrayContaining(['s-1.webp', 's-2.webp']))
  })

  it('keeps --json pure when it warns, and warns on stderr without', async () => {
    const far = await irodori('generate', 'stock market crash', '--json', '-o', 'far.png', ...quick)
    expect({ status: far.status, stderr: far.stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(far.stdout).warnings).toMatchObject([{ code: 'far-from-training' }])
    const said = await irodori('generate', 'stock market crash', '-o', 'far.png', ...quick)
    expect(said.stderr).toMatch(/^warning: the prompt is far from everything .*\n$/)
  })

  it('names files after prompt and seed, and writes metadata as told', async () => {
    await irodori('generate', '赤い りんご!', '--metadata-prompt', ...quick)
    expect(await readMetadata(path.join(folder, '赤い-りんご-5.png'))).toMatchObject({ prompt: '赤い りんご!' })
    await irodori('generate', 'x', '--no-metadata', '-o', 'bare.png', ...quick)
    expect(await readMetadata(path.join(folder, 'bare.png'))).toBeUndefined()
  })

  it('draws on request into a terminal that says nothing of itself', async () => {
    const { stdout } = await irodori('generate', 'apple', '--show', '-o', 'shown.png', ...quick)
    expect(stdout.split('\n').filter((line) => line.includes('▀')).length).toBe(16)
  })
})

describe('errors', () => {
  it.each<[string, string[], number, RegExp]>([
    ['an empty prompt', ['generate', ''], 1, /^irodori: invalid-option: prompt: .*\n$/],
    ['an unknown sampler', ['generate', 'x', '--sampler', 'magic'], 1, /^irodori: unknown-sampler: .*\n$/],
    ['steps out of range', ['generate', 'x', '--steps', '0'], 1, /^irodori: invalid-option: steps: .*got 0\n$/],
    ['a size that does not divide', ['generate', 'x', '--size', '100'], 1, /^irodori: invalid-option: size: .*\n$/],
    ['an unknown model', ['generate', 'x', '--model', 'emojy'], 1, /^irodori: missing-file: .*did you mean emoji\?\n$/],
    [
      'an unknown quantisation',
      ['generate', 'x', '--quantize', 'int4'],
      1,
      /^irodori: invalid-option: quantize: .*\n$/,
    ],
    ['an unknown format', ['generate', 'x', '-o', 'x.gif'], 1, /^irodori: unsupported-format: x\.gif: .*\n$/],
    ['a missing folder', ['generate', 'x', '-o', 'none/x.png', ...quick], 1, /^irodori: missing-file: .*\n$/],
    // These are told before a model is loaded, so before anything is drawn.
    [
      'a quality for PNG',
      ['generate', 'x', '--model', 'none', '--quality', '50', '-o', 'x.png'],
      1,
      /^irodori: invalid-option: quality: .*\n$/,
    ],
    [
      'a missing folder, early',
      ['generate', 'x', '--model', 'none', '-o', 'none/x.png'],
      1,
      /^irodori: missing-file: none\/x\.png: .*\n$/,
    ],
    ['no prompt', ['generate'], 2, /^irodori: usage: .*\n$/],
    ['steps that are no number', ['generate', 'x', '--steps', 'four'], 2, /^irodori: usage: .*number.*\n$/],
    ['a misspelt option', ['generate', 'x', '--stpes', '4'], 2, /^irodori: usage: .*--steps.*\n$/],
    ['an unknown command', ['draw', 'x'], 2, /^irodori: usage: .*\n$/],
    ['--json with --show', ['generate', 'x', '--json', '--show'], 2, /^irodori: usage: .*\n$/],
    ['inspecting nothing', ['inspect', 'nowhere'], 1, /^irodori: missing-file: .*\n$/],
  ])('%s', async (_name, args, status, line) => {
    const outcome = await irodori(...args)
    expect(outcome.stderr).toMatch(line)
    expect({ status: outcome.status, stdout: outcome.stdout }).toEqual({ status, stdout: '' })
  })

  it.each([
    [['--help'], /generate/],
    [['generate', '--help'], /--steps/],
    [['--version'], /^\d+\.\d+\.\d+\n$/],
  ])('%j is none', async (args, text) => {
    const { status, stdout, stderr } = await irodori(...args)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(text)
  })

  it.skipIf(process.platform === 'win32')('SIGINT keeps the pictures that are done', async () => {
    const child = spawn(process.execPath, [main, 'generate', 'x', '--count', '64', '--size', '512', '-o', 'kept.png'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const said = await new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve))
    expect(said).toMatch(/^kept-1\.png {2}512x512 {2}seed \d+\n/)
    child.kill('SIGINT')
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(130)
    const kept = (await readdir(folder)).filter((file) => file.startsWith('kept-'))
    expect(kept).toContain('kept-1.png')
    expect(kept.length).toBeLessThan(64)
    expect(await readMetadata(path.join(folder, 'kept-1.png'))).toMatchObject({ width: 512 })
  })

  it.skipIf(process.platform === 'win32')('SIGINT ends a running command at once with 130', { retry: 2 }, async () => {
    const child = spawn(process.execPath, [main, 'generate', 'x', '--steps', '1000', '-o', 'never.png'], {
      cwd: folder,
      stdio: 'ignore',
    })
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const sent = performance.now()
    child.kill('SIGINT')
    const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.on('exit', (...how) => resolve(how)),
    )
    expect({ status, signal }).toEqual({ status: 130, signal: null })
    expect(performance.now() - sent).toBeLessThan(2000)
    expect(await readdir(folder)).not.toContain('never.png')
  })
})

describe('inspect', () => {
  it('counts parameters, arithmetic and memory', async () => {
    const { status, stdout, stderr } = await irodori('inspect', 'emoji', '--json')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const { components, licences, className } = JSON.parse(stdout)
    expect(className).toBe('PixArtAlphaPipeline')
    const names = components.map(({ name }: { name: string }) => name)
    expect(names).toEqual(expect.arrayContaining(['transformer', 'text_encoder', 'vae', 'upscaler', 'scheduler']))
    const find = (name: string) => components.find((one: { name: string }) => one.name === name)?.network
    const [transformer, text, upscaler] = ['transformer', 'text_encoder', 'upscaler'].map(find)
    const stored = await readHeader(path.join(models, 'emoji', 'upscaler', 'model.safetensors'))
    expect(upscaler.parameters).toBe(stored.reduce((sum, { shape }) => sum + shape.reduce((n, side) => n * side, 1), 0))
    expect(transformer.parameters + text.parameters).toBeLessThan(16e6)
    expect(transformer.unused).toEqual([])
    const perStep = transformer.parts.find(({ runs }: { runs: string }) => runs === 'row').flops
    expect(perStep).toBeLessThan(transformer.flops)
    const { movedBytes, fusedBytes } = transformer.parts.find(({ runs }: { runs: string }) => runs === 'row').traffic
    expect(fusedBytes).toBeLessThan(movedBytes)
    expect(movedBytes).toBeGreaterThan(transformer.memory.weightsBytes / 2)
    expect(transformer.memory.weightsBytes).toBeGreaterThan(0)
    expect(licences.map(({ file }: { file: string }) => file)).toContain('LICENSES/Fluent-Emoji.txt')
  })

  it('is readable by people', async () => {
    const { status, stdout } = await irodori('inspect', 'emoji')
    expect(status).toBe(0)
    expect(stdout).toMatch(/transformer .*PixArtTransformer2DModel/)
    expect(stdout).toMatch(/% of .* cut out of every step: .*B once per prompt/)
    expect(stdout).toMatch(/transformer: a row of a step reads and writes .*B, perfectly fused [0-9.]+ %/)
  })
})

describe('doctor', () => {
  it('reports and never fails', async () => {
    const { status, stdout } = await irodori('doctor', '--json')
    expect(status).toBe(0)
    const { devices, models, addon } = JSON.parse(stdout)
    expect(devices[0]).toMatchObject({ device: 'cpu', instructions: 'auto', works: true })
    expect(models).toContain('emoji')
    expect(addon).toMatch(/\.node$/)
    const child = spawn(process.execPath, [main, 'doctor'], { env: { ...process.env, IRODORI_ADDON: '/nowhere.node' } })
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
    })
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0)
    expect(text).toMatch(/unavailable/)
  })
})
