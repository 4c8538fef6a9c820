/** CLIP tokenizers are read from every form of folder, with the padding token transformers would take. */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadClipTokenizer, publishedClipTokenizer } from '../../../src/text/clipTokenizer'
import { MAX_PROMPT_CHARACTERS } from '../../../src/text/tokenizer'

const BOS = '<|startoftext|>'
const EOS = '<|endoftext|>'
const letters = ['!', ',', 'a', 'b', 'c', 't']
const vocab = Object.fromEntries(
  [...letters, ...letters.map((letter) => `${letter}</w>`), 'ca', 'cat</w>', BOS, EOS].map((token, id) => [token, id]),
)
const merges = 'c a\nca t</w>\n'
const definition = {
  added_tokens: [{ id: 16, content: '<toy>', special: true }],
  model: { type: 'BPE', end_of_word_suffix: '</w>', vocab, merges: ['c a', 'ca t</w>'] },
}

let root = ''
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'irodori-clip-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

let count = 0
async function folderOf(files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = path.join(root, String(count++))
  await mkdir(folder)
  for (const [name, content] of Object.entries(files)) {
    await writeFile(path.join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

const text = { 'vocab.json': vocab, 'merges.txt': `#version: 0.2\n${merges}` }

describe('loadClipTokenizer', () => {
  it('reads vocab.json and merges.txt', async () => {
    const tokenizer = await loadClipTokenizer(await folderOf(text))
    expect(tokenizer).toMatchObject({ vocabulary: 16, bos: 14, eos: 15, pad: 15, comma: 7 })
    expect(await tokenizer.encode('Cat, ca\n tab!')).toEqual([13, 7, 4, 8, 5, 2, 9, 6])
    expect(await tokenizer.encode('')).toEqual([])
  })

  it('reads tokenizer.json, merges as pairs or strings, tokens added', async () => {
    const tokenizer = await loadClipTokenizer(await folderOf({ 'tokenizer.json': definition }))
    expect(tokenizer).toMatchObject({ vocabulary: 17, bos: 14, eos: 15, pad: 15 })
    expect(await tokenizer.encode('cat<toy>cat')).toEqual([13, 16, 13])
    const pairs = {
      ...definition,
      model: {
        ...definition.model,
        merges: [
          ['c', 'a'],
          ['ca', 't</w>'],
        ],
      },
    }
    const other = await loadClipTokenizer(await folderOf({ 'tokenizer.json': pairs }))
    expect(await other.encode('cat<toy>cat')).toEqual([13, 16, 13])
  })

  it.each<[string, Readonly<Record<string, unknown>>, number]>([
    ['the end token when nothing says', {}, 15],
    ['the config', { 'tokenizer_config.json': { pad_token: '!' } }, 0],
    ['a token with its flags', { 'tokenizer_config.json': { pad_token: { content: '!', normalized: true } } }, 0],
    [
      'the map of special tokens before the config',
      { 'tokenizer_config.json': { pad_token: EOS }, 'special_tokens_map.json': { pad_token: '!' } },
      0,
    ],
    [
      'the config that lists its tokens before the map',
      {
        'tokenizer_config.json': { pad_token: EOS, added_tokens_decoder: { 15: { content: EOS } } },
        'special_tokens_map.json': { pad_token: '!' },
      },
      15,
    ],
  ])('takes the padding from %s', async (_, files, pad) => {
    const tokenizer = await loadClipTokenizer(await folderOf({ ...text, ...files }))
    expect(tokenizer.pad).toBe(pad)
    // A padding token in the text is that token; else an exclamation mark is a word of its own.
    expect(await tokenizer.encode('cat!')).toEqual([13, pad === 0 ? 0 : 6])
  })

  it('reads tokens of added_tokens.json', async () => {
    const tokenizer = await loadClipTokenizer(await folderOf({ ...text, 'added_tokens.json': { '<toy>': 20 } }))
    expect(tokenizer.vocabulary).toBe(21)
    expect(await tokenizer.encode('a <toy>')).toEqual([8, 20])
  })

  it.each<[string, Readonly<Record<string, unknown>>, string, RegExp]>([
    ['nothing', {}, 'missing-file', /tokenizer\.json, or vocab\.json and merges\.txt/],
    ['no merges', { 'vocab.json': vocab }, 'missing-file', /merges\.txt/],
    ['a vocabulary that is no JSON', { ...text, 'vocab.json': '{' }, 'invalid-tokenizer', /vocab\.json: expected JSON/],
    ['an id that is none', { ...text, 'vocab.json': { ...vocab, a: -1 } }, 'invalid-tokenizer', /"a", got -1/],
    [
      'a merge of three',
      { ...text, 'merges.txt': 'c a t\n' },
      'invalid-tokenizer',
      /merges\.txt:1: expected two pieces/,
    ],
    ['no start token', { ...text, 'vocab.json': { [EOS]: 0 } }, 'invalid-tokenizer', /start token <\|startoftext\|>/],
    [
      'another padding token',
      { ...text, 'tokenizer_config.json': { pad_token: '[PAD]' } },
      'invalid-tokenizer',
      /padding token \[PAD\]/,
    ],
    [
      'a tokenizer of another kind',
      { 'tokenizer.json': { model: { type: 'Unigram', vocab: [] } } },
      'invalid-tokenizer',
      /BPE whose words end with <\/w>, got "Unigram"/,
    ],
    [
      'an added token without id',
      { 'tokenizer.json': { ...definition, added_tokens: [1] } },
      'invalid-tokenizer',
      /id/,
    ],
  ])('refuses %s', async (_, files, code, message) => {
    const folder = await folderOf(files)
    await expect(loadClipTokenizer(folder)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('refuses texts that no prompt has, and stops for a signal', async () => {
    const folder = await folderOf(text)
    const tokenizer = await loadClipTokenizer(folder)
    await expect(tokenizer.encode('a'.repeat(MAX_PROMPT_CHARACTERS + 1))).rejects.toMatchObject({
      code: 'invalid-option',
    })
    await expect(tokenizer.encode(7 as unknown as string)).rejects.toMatchObject({ code: 'invalid-option' })
    await expect(tokenizer.encode('x')).resolves.toEqual([15]) // a byte that the vocabulary lacks is its unknown token
    await expect(loadClipTokenizer(folder, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORT_ERR',
    })
  })
})

describe('publishedClipTokenizer', () => {
  it('reads a text in pieces as it reads it at once', async () => {
    const tokenizer = await publishedClipTokenizer('end')
    const source = await readFile(__filename, 'utf8')
    const whole: number[] = []
    for (const word of source.slice(0, 6000).split(/\s+/)) whole.push(...(await tokenizer.encode(word)))
    expect(await tokenizer.encode(source.slice(0, 6000))).toEqual(whole)
  })
})
