/** CLIP's tokenizer against transformers': the same ids, for texts of many scripts and for every assigned character. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ClipTokenizer, publishedClipTokenizer } from '../../../src/text/clipTokenizer'
import { promptWindows } from '../../../src/text/promptWindows'

const read = (name: string): string => readFileSync(path.join(__dirname, name), 'utf8')
const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex')

interface Row {
  readonly text: string
  readonly end: readonly number[]
  /** Left out where it is the same. */
  readonly '!'?: readonly number[]
  /** Of the 77 ids padded with the end token, and with the mark. */
  readonly windows: readonly [string, string]
}
interface Block {
  readonly codes: readonly (readonly [number, number])[]
  readonly sha256: string
}

const manifest: { readonly vocabulary: string; readonly sha256: Readonly<Record<string, string>> } = JSON.parse(
  read('MANIFEST.json'),
)
const rows: readonly Row[] = JSON.parse(read('tokens.json'))
const blocks: Readonly<Record<string, Block>> = JSON.parse(read('characters.json'))

it('goldens and vocabulary are those of the manifest', () => {
  for (const [name, hash] of Object.entries(manifest.sha256)) expect(sha256(read(name)), name).toBe(hash)
  expect(sha256(read('../../../models/clip-tokenizer/merges.txt'))).toBe(manifest.vocabulary)
})

describe('CLIP tokenizer', () => {
  let end: ClipTokenizer
  let mark: ClipTokenizer
  beforeAll(async () => {
    end = await publishedClipTokenizer('end')
    mark = await publishedClipTokenizer('!')
  })

  it('has the published special ids', () => {
    expect(end).toMatchObject({ vocabulary: 49408, bos: 49406, eos: 49407, pad: 49407, comma: 267 })
    expect(mark).toMatchObject({ vocabulary: 49408, bos: 49406, eos: 49407, pad: 0, comma: 267 })
  })

  it('gives the ids of transformers, whatever fills up', async () => {
    for (const row of rows) {
      expect(await end.encode(row.text), JSON.stringify(row.text)).toEqual(row.end)
      expect(await mark.encode(row.text), JSON.stringify(row.text)).toEqual(row['!'] ?? row.end)
    }
  })

  it('gives the window that diffusers gives to the encoder, padded or cut off', async () => {
    for (const { text, windows } of rows) {
      for (const [i, tokenizer] of [end, mark].entries()) {
        const read = await promptWindows(tokenizer, text, { syntax: 'plain', maxWindows: 1 })
        expect(read.windows).toHaveLength(1)
        const bytes = new Uint8Array(read.windows[0]?.ids.buffer ?? new ArrayBuffer(0))
        expect(sha256(bytes).slice(0, 16), JSON.stringify(text)).toBe(windows[i])
      }
    }
  })

  it('gives the ids of transformers for every character', async () => {
    for (const [name, { codes, sha256: want }] of Object.entries(blocks)) {
      const numbers: number[] = []
      for (const [first, last] of codes) {
        for (let code = first; code <= last; code++) {
          const ids = await end.encode(`a${String.fromCodePoint(code)}b`)
          numbers.push(ids.length, ...ids)
        }
      }
      expect(sha256(new Uint8Array(Int32Array.from(numbers).buffer)).slice(0, 16), `U+${name}`).toBe(want)
    }
  }, 600_000) // seconds, unless the machine has other things to do
})
