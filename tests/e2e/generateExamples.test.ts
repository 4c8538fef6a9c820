/** The programs of the README and of examples/ run as they stand, in a folder where `irodori` is installed. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = path.resolve(__dirname, '..', '..')
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'irodori-examples-'))
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(root, path.join(folder, 'node_modules', 'irodori'), 'dir')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function node(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

/** The first program of a page. */
function firstProgram(page: string): string {
  const [, code = ''] = /```js\n([\s\S]*?)```/.exec(readFileSync(path.join(root, page), 'utf8')) ?? []
  expect(code).toContain('loadPipeline')
  return code
}

describe('programs', () => {
  it.each(['README.md', 'README.ja.md'])('%s: the ten lines draw a cat', async (page) => {
    const code = firstProgram(page)
    expect(code.trim().split('\n').length).toBeLessThanOrEqual(12)
    writeFileSync(path.join(folder, 'program.cjs'), code)
    expect(node('program.cjs')).toMatch(/^\d+\.\d+ \[\]\n$/)
    expect((await sharp(path.join(folder, 'cat.png')).metadata()).width).toBe(512)
  })

  it('examples/one-picture.mjs', () => {
    const out = node(path.join(root, 'examples', 'one-picture.mjs'), 'a rocket', 'rocket.png')
    expect(out).toMatch(/^rocket\.png: seed \d+, \d+ ms\n$/)
  })

  it('examples/stream.mjs', async () => {
    expect(node(path.join(root, 'examples', 'stream.mjs'), 'pizza')).toMatch(/denoise 20\/20[\s\S]*upscale 1\/1\n$/)
    expect((await sharp(path.join(folder, 'picture.webp')).metadata()).width).toBe(512)
    expect((await sharp(path.join(folder, 'preview-5.png')).metadata()).width).toBe(128)
  })

  it('examples/from-a-picture.mjs', async () => {
    expect(node(path.join(root, 'examples', 'from-a-picture.mjs'))).toBe('the same picture again\n')
    expect((await sharp(path.join(folder, 'half.png')).metadata()).width).toBe(512)
  })

  it('examples/stable-diffusion.mjs', async () => {
    const model = path.join(root, 'tests', 'golden', 'pipelines', 'sd1')
    expect(node(path.join(root, 'examples', 'stable-diffusion.mjs'), model)).toMatch(/^(\w[\w.]* \d+ MB\n)+$/)
    expect((await sharp(path.join(folder, 'lighthouse-1.png')).metadata()).width).toBe(32)
  })

  it('examples/one-network.mjs', () => {
    expect(node(path.join(root, 'examples', 'one-network.mjs'))).toMatch(/^\[ 1, 16, 256 \]/)
  })
})
