/**
 * Textual inversion: vectors that stand in a prompt for words the vocabulary lacks.
 *
 * Gal et al. 2022 (arXiv:2208.01618). A placeholder in the prompt becomes n tokens whose vectors replace rows of the
 * encoder's token table. Placeholders are looked for in the text, not among token ids: `<cat-toy>,` is found, and the
 * name means the same to both encoders of SDXL.
 */

import path from 'node:path'
import { EngineError } from '../errors'
import type { Tensor } from '../tensor/tensor'
import { toFloat32 } from '../tensor/widen'
import { WINDOW_TOKENS } from './window'

/** Learned vectors and the word that stands for them. */
export interface TextualInversion {
  /** Found in prompts whatever its case, as a whole word. */
  readonly name: string
  /** Vectors by the width of the encoder they are for; each list has the same length. */
  readonly vectors: ReadonlyMap<number, readonly Float32Array[]>
}

/**
 * An embedding from the tensors of its file, each [n, D] or [D].
 *
 * Layouts: `emb_params` and `string_to_param.*` (web UI), `<token>` as the only tensor (diffusers), `clip_l` and `clip_g`
 * (SDXL), `text_encoders_0` and `text_encoders_1` (SDXL of diffusers' trainers).
 *
 * @param name - the placeholder. @defaultValue the one the layout names, else the file's name without its ending
 * @param file - where the tensors are from.
 * @throws {@link EngineError} `unsupported-format` for other tensors; `invalid-option` for an empty name.
 */
export function textualInversion(
  tensors: Readonly<Record<string, Tensor>>,
  options: { readonly name?: string | undefined; readonly file: string },
): TextualInversion {
  const { file } = options
  const names = Object.keys(tensors)
  const used = namesOf(names, file)
  const name = (options.name ?? used.placeholder ?? path.parse(file).name).trim()
  if (name === '') {
    const message = `${file}: expected a name that stands for the embedding in prompts, got an empty one`
    throw new EngineError('invalid-option', message, { option: 'name', file })
  }
  const vectors = new Map<number, readonly Float32Array[]>()
  for (const tensorName of used.tensors) {
    const tensor = tensors[tensorName]
    if (tensor === undefined) throw new RangeError('names are those of the tensors')
    const rows = rowsOf(tensor, `${file}: tensor "${tensorName}"`)
    vectors.set(rows[0]?.length ?? 0, rows)
  }
  const lengths = [...vectors.values()].map((rows) => rows.length)
  if (vectors.size < used.tensors.length || lengths.some((length) => length !== lengths[0])) {
    throw unsupported(file, 'as many vectors for each encoder, of different widths', `${lengths.join(' and ')}`)
  }
  return { name, vectors }
}

/** Which tensors are the vectors, and the placeholder they name. */
function namesOf(
  names: readonly string[],
  file: string,
): { readonly tensors: readonly string[]; readonly placeholder?: string } {
  for (const pair of [
    ['clip_l', 'clip_g'],
    ['text_encoders_0', 'text_encoders_1'],
  ]) {
    if (pair.every((name) => names.includes(name))) return { tensors: pair }
  }
  const own = names.filter((name) => /^(emb_params|string_to_param(\.\*)?|\*|clip_l|clip_g)$/.test(name))
  const [first] = own
  if (own.length === 1 && first !== undefined) return { tensors: [first] }
  const [only] = names
  if (names.length === 1 && only !== undefined) return { tensors: [only], placeholder: only }
  throw unsupported(
    file,
    'emb_params, string_to_param.*, clip_l and clip_g, text_encoders_0 and _1, or one tensor named as its placeholder',
    names.slice(0, 8).join(', ') || 'no tensors',
  )
}

function rowsOf({ dtype, shape, data }: Tensor, where: string): Float32Array[] {
  const width = shape.at(-1) ?? 0
  const count = shape.length === 1 ? 1 : (shape[0] ?? 0)
  const fits = (shape.length === 1 || shape.length === 2) && width > 0 && count > 0 && count <= WINDOW_TOKENS
  if (!fits || (dtype !== 'f32' && dtype !== 'f16' && dtype !== 'bf16')) {
    throw unsupported(where, `1 to ${WINDOW_TOKENS} vectors [n, D] f32, f16 or bf16`, `[${shape.join(', ')}] ${dtype}`)
  }
  const values = toFloat32({ dtype, shape, data })
  return Array.from({ length: count }, (_, row) => values.slice(row * width, (row + 1) * width))
}

function unsupported(where: string, expected: string, got: string): EngineError {
  return new EngineError('unsupported-format', `${where}: expected ${expected}, got ${got}`, { expected, got })
}

/**
 * Checks that an embedding is for a model's encoders.
 *
 * @param widths - of all of them: [768] for SD1, [1024] for SD2, [768, 1280] for SDXL.
 * @throws {@link EngineError} `invalid-option` when vectors are of other widths, or lack one.
 */
export function assertFits({ name, vectors }: TextualInversion, widths: readonly number[]): void {
  const got = [...vectors.keys()]
  if (got.length === widths.length && widths.every((width) => vectors.has(width))) return
  const message = `embedding ${name}: expected vectors of ${widths.join(' and ')} numbers, as the model's text encoders, got ${got.join(' and ')}`
  throw new EngineError('invalid-option', message, { name, expected: widths, got })
}

/** The vectors for an encoder of a width. Throws `invalid-option` when the embedding is for others. */
export function vectorsFor({ name, vectors }: TextualInversion, width: number): readonly Float32Array[] {
  const found = vectors.get(width)
  if (found !== undefined) return found
  const got = [...vectors.keys()].join(' and ')
  const message = `embedding ${name}: expected vectors of ${width} numbers, as the text encoder, got ${got}`
  throw new EngineError('invalid-option', message, { name, expected: width, got })
}

/** A text with the embeddings in it, in order. */
export type TextPiece = string | TextualInversion

/** Splits a text at placeholders, the longest first; never inside a word. */
export function findInversions(text: string, inversions: readonly TextualInversion[]): readonly TextPiece[] {
  if (inversions.length === 0) return [text]
  const longest = [...inversions].sort((a, b) => b.name.length - a.name.length)
  const byName = new Map(longest.map((inversion) => [inversion.name.toLowerCase(), inversion]))
  const pattern = new RegExp(`(${longest.map(({ name }) => wholeWord(name)).join('|')})`, 'giu')
  return text
    .split(pattern) // captured placeholders stand at odd places
    .map((piece, i) => (i % 2 === 1 ? (byName.get(piece.toLowerCase()) ?? piece) : piece))
    .filter((piece) => piece !== '')
}

/** The name as a pattern; where it ends in a letter, no other letter may follow. */
function wholeWord(name: string): string {
  const escaped = name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
  const before = /^[\p{L}\p{N}_]/u.test(name) ? '(?<![\\p{L}\\p{N}_])' : ''
  const after = /[\p{L}\p{N}_]$/u.test(name) ? '(?![\\p{L}\\p{N}_])' : ''
  return `${before}${escaped}${after}`
}
