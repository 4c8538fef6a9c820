/** Damaged tokenizer files and strange prompts: EngineErrors or sound encodings, in bounded time. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { EngineError } from '../../src/errors'
import { philox4x32 } from '../../src/tensor/philox'
import { loadClipTokenizer, publishedClipTokenizer } from '../../src/text/clipTokenizer'
import { boundaryOf, piecesOf } from '../../src/text/pieces'
import { promptWindows } from '../../src/text/promptWindows'
import { type Encoding, loadTokenizer, type Tokenizer } from '../../src/text/tokenizer'

const folder = mkdtempSync(path.join(tmpdir(), 'irodori-tokenizers-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Random whole numbers below a bound, the same for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let counter = 0
  return (below) => philox4x32([counter++, 0, 0, 0], seed, 7)[0] % below
}
type Random = ReturnType<typeof randomOf>

const special = (id: number, content: string) => ({ id, content, special: true, normalized: false })
const template = {
  type: 'TemplateProcessing',
  single: [
    { SpecialToken: { id: '[BOS]', type_id: 0 } },
    { Sequence: { id: 'A', type_id: 0 } },
    { SpecialToken: { id: '[EOS]', type_id: 0 } },
  ],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }],
  special_tokens: {
    '[BOS]': { id: '[BOS]', ids: [1], tokens: ['[BOS]'] },
    '[EOS]': { id: '[EOS]', ids: [2], tokens: ['[EOS]'] },
  },
}
const vocab = Object.fromEntries(
  ['[PAD]', '[BOS]', '[EOS]', '[UNK]', 'a', 'b', 'c', 'ab', 'abc', '##b', '##c', 'り', 'ん', 'りん'].map((t, i) => [
    t,
    i,
  ]),
)
const shared = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [special(0, '[PAD]'), special(1, '[BOS]'), special(2, '[EOS]'), special(3, '[UNK]')],
  post_processor: template,
  decoder: { type: 'Fuse' },
}
const normalizer = {
  type: 'Sequence',
  normalizers: [
    { type: 'NFKC' },
    { type: 'Lowercase' },
    { type: 'Replace', pattern: { Regex: '[!?,。、]' }, content: ' ' },
    { type: 'Replace', pattern: { String: 'リ' }, content: 'り' },
  ],
}
const merges = [
  ['a', 'b'],
  ['ab', 'c'],
  ['り', 'ん'],
]
const bpe = { type: 'BPE', unk_token: '[UNK]', vocab, merges }

/** One sound file per kind of model. */
const FILES: Readonly<Record<string, object>> = {
  bpe: { ...shared, normalizer, pre_tokenizer: { type: 'WhitespaceSplit' }, model: bpe },
  byteLevel: {
    ...shared,
    normalizer: { type: 'NFC' },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    model: { ...bpe, byte_fallback: true, end_of_word_suffix: '</w>' },
  },
  wordPiece: {
    ...shared,
    normalizer: { type: 'BertNormalizer', clean_text: true, lowercase: true, handle_chinese_chars: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  },
  unigram: {
    ...shared,
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    model: { type: 'Unigram', unk_id: 3, vocab: Object.keys(vocab).map((token, i) => [token, -i]) },
  },
}

const TYPES = ['BPE', 'WordPiece', 'Unigram', 'Sequence', 'Replace', 'Split', 'NFC', 'Strip', 'ByteLevel', 'Prepend']
const VALUES: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  '',
  ' ',
  '[UNK]',
  '[a-z',
  'x'.repeat(5000),
  [],
  {},
  [[]],
  [null],
  { type: 'Sequence' },
  { String: '' },
  { Regex: '' },
]

/** Changes one random place: removed, another value, another type's name, or a neighbour's value. */
function mutate(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random(12) === 0) {
    if (random(4) === 0) return TYPES[random(TYPES.length)]
    return VALUES[random(VALUES.length)]
  }
  const entries = Object.entries(value)
  if (entries.length === 0) return VALUES[random(VALUES.length)]
  const at = random(entries.length)
  const changed = entries.flatMap(([key, inner], i) => {
    if (i !== at) return [[key, inner] as const]
    if (random(12) === 0) return []
    if (random(12) === 0) return [[key, entries[random(entries.length)]?.[1]] as const]
    return [[key, mutate(inner, random)] as const]
  })
  return Array.isArray(value) ? changed.map(([, inner]) => inner) : Object.fromEntries(changed)
}

const ALPHABETS = [
  'abc ',
  'りんリン 赤い、。',
  ' \t\n\u3000',
  '[BOS][UNK]<>/\\',
  '\u0000\u0085\ud800\udc00\uffff\u0301',
  '🍎👩‍🚀\u200d\ufe0f',
]

function randomPrompt(random: Random, most: number): string {
  const length = random(most)
  let alphabet = ALPHABETS[random(ALPHABETS.length)] ?? ''
  let prompt = ''
  while (prompt.length < length) {
    if (random(20) === 0) alphabet = ALPHABETS[random(ALPHABETS.length)] ?? ''
    prompt += alphabet[random(alphabet.length)] ?? ''
  }
  return prompt
}

/** What loading and encoding give; anything but an EngineError is thrown on. */
async function orEngineError<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof EngineError) return undefined
    throw error
  }
}

function write(definition: unknown, config: unknown): void {
  writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(definition) ?? 'undefined')
  writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify(config) ?? 'undefined')
}

function expectSound({ ids, length, tokens, truncated }: Encoding, of: Tokenizer, maxLength: number): void {
  expect(ids.length).toBe(maxLength)
  expect(ids.every((id) => id >= 0)).toBe(true)
  expect(length).toBe(Math.min(tokens, maxLength))
  expect(truncated).toBe(tokens > maxLength)
  expect(of.vocabulary).toBeGreaterThanOrEqual(0)
}

describe.each(Object.entries(FILES))('%s', (name, definition) => {
  it('reads any prompt', async () => {
    write(definition, { pad_token: '[PAD]' })
    const tokenizer = await loadTokenizer(folder)
    const random = randomOf(1)
    for (let i = 0; i < 100; i++) expectSound(await tokenizer.encode(randomPrompt(random, 300), 16), tokenizer, 16)
  })

  it('damaged, gives EngineErrors or sound encodings, each within seconds', async () => {
    let loaded = 0
    for (let seed = 0; seed < 100; seed++) {
      const random = randomOf(seed + 1000 * name.length)
      let broken: unknown = definition
      for (let times = random(3); times >= 0; times--) broken = mutate(broken, random)
      write(broken, random(3) === 0 ? mutate({ pad_token: '[PAD]', model_max_length: 77 }, random) : {})
      const started = performance.now()
      const tokenizer = await orEngineError(() => loadTokenizer(folder))
      if (tokenizer !== undefined) {
        loaded++
        for (const prompt of ['', 'abc', randomPrompt(random, 2000)]) {
          const encoding = await orEngineError(() => tokenizer.encode(prompt, 16))
          if (encoding !== undefined) expectSound(encoding, tokenizer, 16)
        }
      }
      expect(performance.now() - started, `seed ${seed}`).toBeLessThan(10_000)
    }
    expect(loaded).toBeGreaterThan(10)
  })
})

describe('CLIP', () => {
  const names = ['tokenizer.json', 'vocab.json', 'merges.txt', 'tokenizer_config.json', 'special_tokens_map.json']
  const tokens = ['!', ',</w>', 'a', 'b</w>', 'ab</w>', 'a</w>', '<|startoftext|>', '<|endoftext|>']
  const ids = Object.fromEntries(tokens.map((token, id) => [token, id]))
  const model = { type: 'BPE', end_of_word_suffix: '</w>', vocab: ids, merges: ['a b</w>'] }

  it('damaged files give EngineErrors or sound windows', async () => {
    let loaded = 0
    for (let seed = 0; seed < 150; seed++) {
      const random = randomOf(seed + 5000)
      const one = random(2) === 0
      const files: unknown[] = [
        one ? { model, added_tokens: [{ id: 8, content: '<x>' }] } : undefined,
        one ? undefined : ids,
        '#version: 0.2\na b</w>\n',
        { pad_token: '!', bos_token: { content: '<|startoftext|>' }, added_tokens_decoder: { 0: { content: '!' } } },
        { pad_token: '<|endoftext|>' },
      ]
      const at = random(files.length)
      files[at] = files[at] === undefined ? undefined : mutate(files[at], random)
      for (const [i, name] of names.entries()) {
        const content = files[i]
        rmSync(path.join(folder, name), { force: true })
        if (content === undefined) continue
        writeFileSync(path.join(folder, name), name === 'merges.txt' ? String(content) : JSON.stringify(content))
      }
      const tokenizer = await orEngineError(() => loadClipTokenizer(folder))
      if (tokenizer === undefined) continue
      loaded++
      const prompt = randomPrompt(random, 400)
      const read = await orEngineError(() => promptWindows(tokenizer, prompt, { syntax: 'weights', maxWindows: 3 }))
      for (const { ids: row } of read?.windows ?? []) {
        expect(row.every((id) => id >= 0 && id < tokenizer.vocabulary)).toBe(true)
      }
    }
    expect(loaded).toBeGreaterThan(50)
  })

  it('windows hold all tokens of any prompt, in order, between start and end', async () => {
    const tokenizer = await publishedClipTokenizer('end')
    const random = randomOf(8)
    for (let i = 0; i < 60; i++) {
      const prompt = `${randomPrompt(random, 900)}, ${randomPrompt(random, 300)}`
      const { windows, tokens, truncated } = await promptWindows(tokenizer, prompt, { syntax: 'plain', maxWindows: 99 })
      const bodies = windows.map(({ ids: row }) => [...row.subarray(1, row.indexOf(tokenizer.eos))])
      expect(bodies.flat()).toEqual(await tokenizer.encode(prompt))
      expect({ tokens, truncated }).toEqual({ tokens: bodies.flat().length, truncated: false })
      for (const [at, body] of bodies.entries()) {
        expect(windows[at]?.ids[0]).toBe(tokenizer.bos)
        expect(windows[at]?.ids.length).toBe(77)
        if (at < bodies.length - 1) expect(body.length).toBeGreaterThan(75 - 20)
        if (at < bodies.length - 1 && body.length < 75) expect(body.at(-1)).toBe(tokenizer.comma)
      }
    }
  })
})

describe('pieces', () => {
  it('give what the whole gives', async () => {
    write(FILES.bpe, {})
    const inPieces = await loadTokenizer(folder)
    // A token with a space switches pieces off and, as no prompt has it, nothing else.
    const added = [...shared.added_tokens, special(99, 'not in any prompt')]
    write({ ...FILES.bpe, added_tokens: added }, {})
    const whole = await loadTokenizer(folder)
    const random = randomOf(5)
    for (let i = 0; i < 20; i++) {
      const prompt = randomPrompt(random, 6000)
      const [got, want] = [await inPieces.encode(prompt, 8000), await whole.encode(prompt, 8000)]
      expect(got.tokens).toBe(want.tokens)
      expect(got.ids).toEqual(want.ids)
    }
  })

  it('are cut before whitespace and join to the prompt', () => {
    const random = randomOf(6)
    for (let i = 0; i < 200; i++) {
      const prompt = randomPrompt(random, 8000)
      const pieces = piecesOf(prompt)
      expect(pieces.join('')).toBe(prompt)
      expect(pieces.slice(1).every((piece) => /^\s/.test(piece))).toBe(true)
    }
    expect(piecesOf('a'.repeat(5000))).toHaveLength(1)
    expect(piecesOf('')).toEqual([''])
  })

  it.each<[string, object, string | undefined]>([
    ['BPE over words', FILES.bpe ?? {}, ' \u3000\n!?,。、'],
    ['bytes', FILES.byteLevel ?? {}, undefined],
    ['Metaspace', FILES.unigram ?? {}, undefined],
    ['a normalizer that keeps spaces', { ...FILES.bpe, normalizer: { type: 'Prepend', prepend: '▁' } }, undefined],
    [
      'a normalizer that turns spaces into letters',
      { ...FILES.bpe, normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' } },
      undefined,
    ],
    [
      'a normalizer that looks across spaces',
      { ...FILES.bpe, normalizer: { type: 'Replace', pattern: { Regex: 'a\\s+b' }, content: 'c' } },
      undefined,
    ],
    [
      'a comma that becomes a letter first',
      {
        ...FILES.bpe,
        normalizer: {
          type: 'Sequence',
          normalizers: [{ type: 'Replace', pattern: { String: ',' }, content: 'a' }, ...normalizer.normalizers],
        },
      },
      ' \u3000\n!?。、',
    ],
    [
      'a comma in a token',
      { ...FILES.bpe, added_tokens: [...shared.added_tokens, special(99, '<,>')] },
      ' \u3000\n!?。、',
    ],
    ['a token that eats spaces', { ...FILES.bpe, added_tokens: [{ ...special(9, '<x>'), lstrip: true }] }, undefined],
    ['nothing', {}, undefined],
  ])('of %s', (_, definition, want) => {
    const boundary = boundaryOf(definition)
    const candidates = [...' \u3000\n!?,。、abcりん赤[]<\u0301\ud800']
    expect(boundary && candidates.filter(boundary).join('')).toBe(want)
  })
})
