/** Several pictures by one command: files of their own, and a grid of all of them. */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readMetadata } from '../../src'
import { runCommand } from '../command'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-grid-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const quick = ['--steps', '1', '--seed', '5', '--size', '64']
const generate = (...args: string[]) => runCommand(['generate', ...args, ...quick], { cwd: folder })

const pixels = async (file: string, left: number, top: number) =>
  await sharp(path.join(folder, file)).extract({ left, top, width: 64, height: 64 }).raw().toBuffer()

describe('generate --count', () => {
  it('writes four pictures and a grid of two by two, which says how to make them all', async () => {
    const { status, stdout, stderr } = await generate('apple', '--count', '4', '-o', 'apple.png')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^apple-1\.png {2}64x64 {2}seed 5\n(.*\n){3}apple\.grid\.png {2}128x128 {2}4 pictures\n/)
    const files = [1, 2, 3, 4].map((n) => `apple-${n}.png`)
    expect((await readdir(folder)).sort()).toEqual([...files, 'apple.grid.png'])
    for (const [i, file] of files.entries()) {
      const own = await sharp(path.join(folder, file)).raw().toBuffer()
      expect((await pixels('apple.grid.png', 64 * (i % 2), 64 * Math.floor(i / 2))).equals(own)).toBe(true)
    }
    const metadata = await readMetadata(path.join(folder, 'apple.grid.png'))
    expect(metadata).toMatchObject({ seed: 5, width: 64, grid: { columns: 2, count: 4 } })
  })

  it('lists the grid in the document of --json, in as many columns as asked for', async () => {
    const { stdout } = await generate('b', '--count', '3', '--columns', '3', '--json', '-o', 'b.webp')
    const { images, grid } = JSON.parse(stdout)
    expect(images.length).toBe(3)
    expect(grid).toEqual({ file: 'b.grid.webp', width: 192, height: 64 })
  })

  it('names it after prompt and seed, and leaves it out when told to and for one picture', async () => {
    expect((await generate('cat', '--count', '2')).stdout).toMatch(/^cat-5\.png.*\ncat-6\.png.*\ncat-5\.grid\.png /)
    expect((await generate('dog', '--count', '2', '--no-grid')).status).toBe(0)
    const one = JSON.parse((await generate('fox', '--json')).stdout)
    expect(one).not.toHaveProperty('grid')
    const names = await readdir(folder)
    expect(names).toEqual(expect.arrayContaining(['cat-5.grid.png', 'dog-5.png', 'dog-6.png', 'fox-5.png']))
    expect(names.filter((name) => /^(dog|fox).*grid/.test(name))).toEqual([])
  })

  it.each<[string, string[], RegExp]>([
    ['columns without a grid', ['--count', '4', '--columns', '2', '--no-grid'], /--columns and --no-grid/],
    ['columns of one picture', ['--columns', '2'], /expected a --count above 1/],
    ['more columns than pictures', ['--count', '2', '--columns', '3'], /whole number from 1 to 2, got 3/],
    ['half a column', ['--count', '2', '--columns', '1.5'], /whole number from 1 to 2, got 1\.5/],
  ])('refuses %s', async (_, args, message) => {
    const outcome = await generate('x', ...args)
    expect(outcome.stderr).toMatch(/^irodori: usage: .*\n$/)
    expect(outcome.stderr).toMatch(message)
    expect({ status: outcome.status, stdout: outcome.stdout }).toEqual({ status: 2, stdout: '' })
  })
})
