/** The tokenizer reads prompts as the file says, pads and cuts them, and refuses broken files. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadTokenizer, MAX_PROMPT_CHARACTERS } from '../../../src/text/tokenizer'

const special = (id: number, content: string) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
})

/** Letters and two merges; katakana is read as hiragana. */
const definition = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [special(0, '[PAD]'), special(1, '[BOS]'), special(2, '[EOS]'), special(3, '[UNK]')],
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'NFKC' },
      { type: 'Lowercase' },
      { type: 'Replace', pattern: { String: 'リ' }, content: 'り' },
    ],
  },
  pre_tokenizer: { type: 'WhitespaceSplit' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[BOS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[EOS]', type_id: 0 } },
    ],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 0 } }],
    special_tokens: {
      '[BOS]': { id: '[BOS]', ids: [1], tokens: ['[BOS]'] },
      '[EOS]': { id: '[EOS]', ids: [2], tokens: ['[EOS]'] },
    },
  },
  decoder: { type: 'Fuse' },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: '[UNK]',
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: false,
    ignore_merges: false,
    vocab: { '[PAD]': 0, '[BOS]': 1, '[EOS]': 2, '[UNK]': 3, c: 4, a: 5, t: 6, ca: 7, cat: 8, り: 9 },
    merges: [
      ['c', 'a'],
      ['ca', 't'],
    ],
  },
}

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-tokenizer-'))
  await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify(definition))
  const config = { pad_token: '[PAD]', model_max_length: 16 }
  await writeFile(path.join(folder, 'tokenizer_config.json'), JSON.stringify(config))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('loadTokenizer', () => {
  it('applies normalizer, merges, template and padding', async () => {
    const tokenizer = await loadTokenizer(folder)
    const { ids, length, truncated } = await tokenizer.encode('Cat リ tac', 10)
    expect([...ids]).toEqual([1, 8, 9, 6, 5, 4, 2, 0, 0, 0])
    expect({ length, truncated }).toEqual({ length: 7, truncated: false })
    expect(tokenizer.maxLength).toBe(16)
    expect(tokenizer.vocabulary).toBe(10)
  })

  it('encodes the empty prompt as start and end', async () => {
    const { ids, length } = await (await loadTokenizer(folder)).encode('', 4)
    expect([...ids]).toEqual([1, 2, 0, 0])
    expect(length).toBe(2)
  })

  it('cuts a prompt of 10,000 characters and keeps the end token', async () => {
    const { ids, length, truncated, tokens } = await (await loadTokenizer(folder)).encode('cat '.repeat(2500), 8)
    expect([...ids]).toEqual([1, 8, 8, 8, 8, 8, 8, 2])
    expect({ length, truncated, tokens }).toEqual({ length: 8, truncated: true, tokens: 2502 })
  })

  it('refuses a prompt beyond the bound, with expected and got', async () => {
    const tokenizer = await loadTokenizer(folder)
    const long = 'a'.repeat(MAX_PROMPT_CHARACTERS + 1)
    await expect(tokenizer.encode(long, 8)).rejects.toThrow(/expected at most 20000 characters, got 20001/)
  })

  it.each([
    ['no JSON', '{', 'invalid-tokenizer'],
    ['no object', '[1]', 'invalid-tokenizer'],
    ['no model', '{"version":"1.0"}', 'invalid-tokenizer'],
    ['an unknown model', JSON.stringify({ ...definition, model: { type: 'Magic', vocab: {} } }), 'invalid-tokenizer'],
    ['an unknown normalizer', JSON.stringify({ ...definition, normalizer: { type: 'Magic' } }), 'invalid-tokenizer'],
  ])('refuses a file with %s', async (name, text, code) => {
    const broken = path.join(folder, name.replaceAll(' ', '-'))
    await mkdir(broken)
    await writeFile(path.join(broken, 'tokenizer.json'), text)
    await expect(loadTokenizer(broken)).rejects.toMatchObject({ name: 'EngineError', code })
  })

  it('names the file that is missing', async () => {
    const missing = loadTokenizer(path.join(folder, 'nowhere'))
    await expect(missing).rejects.toMatchObject({ code: 'missing-file' })
    await expect(missing).rejects.toThrow('tokenizer.json')
  })

  it('stops when the signal has fired', async () => {
    const loading = loadTokenizer(folder, { signal: AbortSignal.abort('enough') })
    await expect(loading).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
  })
})
