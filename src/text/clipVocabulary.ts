/** Files of CLIP tokenizers: the vocabulary, its merges, and which tokens start, end and fill up. */

import path from 'node:path'
import { EngineError } from '../errors'
import { invalidTokenizer, isId, isObject, type Json, readJsonObject, readText } from './tokenizerLibrary'

/** A token found in text as it stands, before anything else. */
export interface AddedToken {
  readonly id: number
  readonly content: string
}

export interface ClipVocabulary {
  /** For messages. */
  readonly file: string
  /** Token to id. */
  readonly ids: Readonly<Record<string, number>>
  /** Pairs that become one token, the first ones first. */
  readonly merges: readonly (readonly [string, string])[]
  readonly bos: string
  readonly eos: string
  readonly pad: string
  /** Tokens beyond the vocabulary. */
  readonly added: readonly AddedToken[]
}

const BOS = '<|startoftext|>'
const EOS = '<|endoftext|>'

/** How transformers' class splits text, whatever a `tokenizer.json` says: whitespace goes, digits stand alone. */
export const CLIP_PRE_TOKENIZER = {
  type: 'Sequence',
  pretokenizers: [
    {
      type: 'Split',
      pattern: {
        Regex: "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
      },
      behavior: 'Removed',
      invert: true,
    },
    // The class splits once more by GPT-2's pattern, which finds nothing left to split.
    { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
  ],
} as const

/** Reads the files of a folder. Throws `missing-file` and `invalid-tokenizer`. */
export async function readClipVocabulary(folder: string, signal: AbortSignal | undefined): Promise<ClipVocabulary> {
  const configFile = path.join(folder, 'tokenizer_config.json')
  const config = (await readJsonObject(configFile, signal)) ?? {}
  // As transformers: the map of special tokens is an older file that has a say only where the config lists no tokens.
  const map = 'added_tokens_decoder' in config ? undefined : await readSpecialTokens(folder, signal)
  const named = { ...config, ...map }
  const special = {
    bos: tokenOf(named.bos_token) ?? BOS,
    eos: tokenOf(named.eos_token) ?? EOS,
    pad: tokenOf(named.pad_token) ?? EOS,
  }
  const listed = Object.entries(isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : {})
  const added = listed.flatMap(([id, token]) => addedToken(Number(id), token, configFile))
  const file = path.join(folder, 'tokenizer.json')
  const definition = await readJsonObject(file, signal)
  if (definition !== undefined) {
    const own = Array.isArray(definition.added_tokens) ? definition.added_tokens : []
    const tokens = [
      ...added,
      ...own.flatMap((token: unknown) => addedToken(isObject(token) ? token.id : token, token, file)),
    ]
    return { ...special, ...modelOf(definition, file), file, added: tokens }
  }
  const vocabularyFile = path.join(folder, 'vocab.json')
  const ids = await readJsonObject(vocabularyFile, signal)
  if (ids === undefined) {
    const message = `tokenizer: expected ${file}, or vocab.json and merges.txt beside it, got neither`
    throw new EngineError('missing-file', message, { file })
  }
  const merges = await readMerges(path.join(folder, 'merges.txt'), signal)
  const extra = Object.entries((await readJsonObject(path.join(folder, 'added_tokens.json'), signal)) ?? {})
  const tokens = [...added, ...extra.flatMap(([content, id]) => addedToken(id, content, configFile))]
  return { ...special, ids: checkIds(ids, vocabularyFile), merges, file: vocabularyFile, added: tokens }
}

/** The vocabulary that follows from its merges: 256 bytes, 256 bytes that end a word, merged pairs, start and end. */
export async function vocabularyOfMerges(
  file: string,
  pad: 'end' | '!',
  signal: AbortSignal | undefined,
): Promise<ClipVocabulary> {
  const merges = await readMerges(file, signal)
  const bytes = byteCharacters()
  const tokens = [...bytes, ...bytes.map((byte) => `${byte}</w>`), ...merges.map((pair) => pair.join('')), BOS, EOS]
  const ids = Object.fromEntries(tokens.map((token, id) => [token, id]))
  return { file, ids, merges, bos: BOS, eos: EOS, pad: pad === 'end' ? EOS : '!', added: [] }
}

/** The character that stands for each byte, in the order of ids: printable ones for themselves, the rest from U+0100 on. */
function byteCharacters(): string[] {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255)
  const all = Array.from({ length: 256 }, (_, byte) => byte)
  const hidden = all.filter((byte) => !printable(byte))
  return [...all.filter(printable), ...hidden.map((_, i) => 256 + i)].map((code) => String.fromCharCode(code))
}

/** `merges.txt`: a pair a line, after a line that may say a version. */
async function readMerges(file: string, signal: AbortSignal | undefined): Promise<(readonly [string, string])[]> {
  const text = await readText(file, signal)
  if (text === undefined)
    throw new EngineError('missing-file', `tokenizer: expected ${file}, got no such file`, { file })
  const lines = text.split(/\r?\n/)
  const first = lines[0]?.includes('#version') ? 1 : 0
  const merges: (readonly [string, string])[] = []
  for (const [at, line] of lines.entries()) {
    if (at < first || line === '') continue
    const [left, right, ...rest] = line.split(' ')
    if (!left || !right || rest.length > 0)
      throw invalidTokenizer(`${file}:${at + 1}`, 'two pieces', JSON.stringify(line))
    merges.push([left, right])
  }
  return merges
}

/** Vocabulary and merges of a `tokenizer.json`, when it is one of CLIP's. */
function modelOf(definition: Json, file: string): Pick<ClipVocabulary, 'ids' | 'merges'> {
  const { model } = definition
  const { type, end_of_word_suffix: suffix, vocab, merges } = isObject(model) ? model : {}
  if (type !== 'BPE' || suffix !== '</w>' || !isObject(vocab) || !Array.isArray(merges)) {
    const got = `${JSON.stringify(type) ?? 'no model'} with the suffix ${JSON.stringify(suffix) ?? 'none'}`
    throw invalidTokenizer(file, "CLIP's tokenizer, BPE whose words end with </w>", got)
  }
  const pairs = merges.map((merge: unknown) => {
    const [left, right, ...rest]: unknown[] =
      typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : []
    if (typeof left === 'string' && typeof right === 'string' && rest.length === 0) return [left, right] as const
    throw invalidTokenizer(file, 'merges of two pieces', JSON.stringify(merge))
  })
  return { ids: checkIds(vocab, file), merges: pairs }
}

function checkIds(vocabulary: Json, file: string): Readonly<Record<string, number>> {
  for (const [token, id] of Object.entries(vocabulary)) {
    if (!isId(id)) throw invalidTokenizer(file, `an id for token ${JSON.stringify(token)}`, JSON.stringify(id))
  }
  return vocabulary as Readonly<Record<string, number>>
}

function addedToken(id: unknown, token: unknown, file: string): AddedToken[] {
  const content = tokenOf(token)
  if (isId(id) && content !== undefined && content !== '') return [{ id, content }]
  throw invalidTokenizer(file, 'added tokens with an id and a content', JSON.stringify(token))
}

async function readSpecialTokens(folder: string, signal: AbortSignal | undefined): Promise<Json> {
  return (await readJsonObject(path.join(folder, 'special_tokens_map.json'), signal)) ?? {}
}

/** A token as a string, or as an object with its content. */
function tokenOf(value: unknown): string | undefined {
  const content = isObject(value) ? value.content : value
  return typeof content === 'string' ? content : undefined
}
