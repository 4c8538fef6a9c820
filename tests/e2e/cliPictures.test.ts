/** The command line with pictures: `--init`, `--mask`, `--control`, sides of a size, a folder as model; and what it refuses. */

import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readMetadata } from '../../src'
import { runCommand } from '../command'

const goldens = path.resolve(__dirname, '..', 'golden', 'pipelines')
const inversions = path.resolve(goldens, '..', 'inversion')
const sd1 = ['--model', path.join(goldens, 'sd1'), '--steps', '2', '--seed', '3', '--guidance', '2']
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-cli-'))
  const picture = (value: number) => ({
    create: { width: 32, height: 32, channels: 3 as const, background: { r: value, g: 0, b: 0 } },
  })
  await sharp(picture(200)).png().toFile(path.join(folder, 'red.png'))
  await sharp({ create: { width: 32, height: 32, channels: 3, background: '#fff' } })
    .png()
    .toFile(path.join(folder, 'all.png'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const generate = (...args: string[]) => runCommand(['generate', ...args], { cwd: folder })

const metadataOf = (file: string) => readMetadata(path.join(folder, file))

describe('generate', () => {
  it('starts from a picture and says how long that took', async () => {
    const args = [
      'a',
      'boat',
      '--init',
      'red.png',
      '--strength',
      '0.6',
      '--mask',
      'all.png',
      '--mask-blur',
      '0',
      '-o',
      'a.png',
    ]
    const { status, stdout, stderr } = await generate(...args, ...sd1)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^a\.png {2}32x32 {2}seed 3\n.*\(text .*, encode .*, denoise/)
    expect(await metadataOf('a.png')).toMatchObject({ init: { strength: 0.6 }, mask: { blur: 0 }, steps: 2 })
  })

  it('is steered by ControlNets, at a size with two sides, in two passes', async () => {
    const nets = ['controlnet-a', 'controlnet-b'].flatMap((net) => ['--control-net', path.join(goldens, net)])
    const hints = ['--control', 'red.png', '--control', 'all.png', '--control-scale', '0.5']
    const { status, stderr } = await generate(
      'x',
      ...sd1,
      ...nets,
      ...hints,
      '--size',
      '40x24',
      '--hires',
      '1.5',
      '-o',
      'c.png',
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const metadata = await metadataOf('c.png')
    expect(metadata).toMatchObject({ width: 60, height: 36, asked: { width: 40, height: 24 }, hires: { scale: 1.5 } })
    expect(metadata?.control?.map(({ scale }) => scale)).toEqual([0.5, 1])
  })

  it('knows the words of embeddings', async () => {
    const files = ['cat-toy', 'bad-hands'].map((name) => path.join(inversions, `${name}.safetensors`))
    const given = files.flatMap((file) => ['--embedding', file])
    const prompts = ['a <cat-toy>', '--negative', 'bad-hands']
    const { status, stderr } = await generate(...prompts, ...sd1, ...given, '--size', '32', '-o', 'e.png')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(await metadataOf('e.png')).toMatchObject({ inversions: [{ name: '<cat-toy>' }, { name: 'bad-hands' }] })
  })

  it.each<[string, string[], number, RegExp]>([
    ['a strength without a picture', ['--strength', '0.5'], 1, /^irodori: invalid-option: strength: .*\n$/],
    ['a picture that is not there', ['--init', 'none.png'], 1, /^irodori: missing-file: init: .*none\.png"\n$/],
    ['a hint without a ControlNet', ['--control', 'red.png'], 1, /^irodori: invalid-option: control: .*\n$/],
    ['a scale without a hint', ['--control-scale', '1'], 2, /^irodori: usage: expected a --control .*\n$/],
    [
      'a LoRA that is not there',
      ['--lora', 'none.safetensors:0.5'],
      1,
      /^irodori: missing-file: none\.safetensors: .*\n$/,
    ],
    [
      'an embedding that is not there',
      ['--embedding', 'none.safetensors'],
      1,
      /^irodori: missing-file: none\.safetensors: .*\n$/,
    ],
    ['a size of three sides', ['--size', '1x2x3'], 2, /^irodori: usage: .*expected a number.*\n$/],
  ])('refuses %s', async (_, args, status, message) => {
    const outcome = await generate('x', ...sd1, ...args, '-o', 'refused.png')
    expect(outcome.stderr).toMatch(message)
    expect({ status: outcome.status, stdout: outcome.stdout }).toEqual({ status, stdout: '' })
  })
})
