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
import { escapeRegExp } from './escapeRegExp'
import { WINDOW_TOKENS } from './window'

/** Learned vectors and the word that stands for them. */
export interface TextualInversion {
  /** Found in prompts whatever its case, as a whole word. */
  readonly name: string
  /** Vectors for each text encoder, in the order of the pipeline's; equally many for all. */
  readonly vectors: readonly (readonly Float32Array[])[]
}

/** What one encoder reads for the word. */
export interface Placeholder {
  readonly name: string
  /** Each of shape [D]. */
  readonly vectors: readonly Float32Array[]
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
  const used = inversionTensors(Object.keys(tensors), file)
  const name = (options.name ?? used.placeholder ?? path.parse(file).name).trim()
  if (name === '') {
    const message = `${file}: expected a name that stands for the embedding in prompts, got an empty one`
    throw new EngineError('invalid-option', message, { option: 'name', file })
  }
  const vectors = used.tensors.map((tensorName) => {
    const tensor = tensors[tensorName]
    if (tensor === undefined) throw new RangeError('names are those of the tensors')
    return rowsOf(tensor, `${file}: tensor "${tensorName}"`)
  })
  const lengths = vectors.map((rows) => rows.length)
  if (lengths.some((length) => length !== lengths[0])) {
    throw unsupported(file, 'as many vectors for each encoder', `${lengths.join(' and ')}`)
  }
  return { name, vectors }
}

/** Which tensors of a file are the vectors, by encoder, and the placeholder they name. Throws `unsupported-format`. */
export function inversionTensors(
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
 * @throws {@link EngineError} `invalid-option` when vectors are of other widths, or for fewer or more encoders.
 */
export function assertFits({ name, vectors }: TextualInversion, widths: readonly number[]): void {
  const got = vectors.map(([first]) => first?.length ?? 0)
  if (got.length === widths.length && widths.every((width, i) => width === got[i])) return
  const message = `embedding ${name}: expected vectors of ${widths.join(' and ')} numbers, as the model's text encoders, got ${got.join(' and ')}`
  throw new EngineError('invalid-option', message, { name, expected: widths, got })
}

/** What an encoder reads for each embedding that {@link assertFits} let through. */
export function placeholdersFor(inversions: readonly TextualInversion[], encoder: number): readonly Placeholder[] {
  return inversions.map(({ name, vectors }) => ({ name, vectors: vectors[encoder] ?? [] }))
}

/** A text with the placeholders in it, in order. */
export type TextPiece = string | Placeholder

/** Splits a text at placeholders, the longest first; never inside a word. */
export function findPlaceholders(text: string, placeholders: readonly Placeholder[]): readonly TextPiece[] {
  if (placeholders.length === 0) return [text]
  const longest = [...placeholders].sort((a, b) => b.name.length - a.name.length)
  const byName = new Map(longest.map((placeholder) => [placeholder.name.toLowerCase(), placeholder]))
  const pattern = new RegExp(`(${longest.map(({ name }) => wholeWord(name)).join('|')})`, 'giu')
  return text
    .split(pattern) // captured placeholders stand at odd places
    .map((piece, i) => (i % 2 === 1 ? (byName.get(piece.toLowerCase()) ?? piece) : piece))
    .filter((piece) => piece !== '')
}

/** The name as a pattern; where it ends in a letter, no other letter may follow. */
function wholeWord(name: string): string {
  const escaped = escapeRegExp(name)
  const before = /^[\p{L}\p{N}_]/u.test(name) ? '(?<![\\p{L}\\p{N}_])' : ''
  const after = /[\p{L}\p{N}_]$/u.test(name) ? '(?![\\p{L}\\p{N}_])' : ''
  return `${before}${escaped}${after}`
}
