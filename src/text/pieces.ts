/** Long prompts in pieces that a tokenizer reads one after the other as it would read them at once. */

/** Characters of a piece: some milliseconds of work. */
const PIECE_CHARACTERS = 1000

/** Normalizers that change no whitespace into something else, nor look across it. */
const NORMALIZERS = ['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'Strip', 'StripAccents']

/** Whether a prompt may be cut before a character. */
export type Boundary = (character: string) => boolean

/**
 * Where tokens never reach across, by the tokenizer's definition; `undefined` when nothing is sure.
 *
 * The pre-tokenizer must start by splitting at whitespace, and nothing before that step may touch whitespace. Characters
 * that a normalizer turns into whitespace, as many do with punctuation, are as good.
 */
export function boundaryOf(definition: unknown): Boundary | undefined {
  const { added_tokens: added, normalizer, pre_tokenizer: preTokenizer } = fields(definition)
  const first = fields(preTokenizer).type === 'Sequence' ? list(fields(preTokenizer).pretokenizers)[0] : preTokenizer
  const replacements = replacementsOf(normalizer)
  if (fields(first).type !== 'WhitespaceSplit' || replacements === undefined) return undefined
  const tokens = list(added).map(fields)
  const letters = tokens.map(({ content }) => content).join('') // cutting a special token would unmake it
  if (/\s/.test(letters) || tokens.some(({ lstrip, rstrip }) => lstrip === true || rstrip === true)) return undefined
  return (character) => {
    if (isWhitespace(character)) return true
    if (letters.includes(character) || !isStable(character)) return false
    const found = replacements.filter(({ matches }) => matches(character))
    return found.length > 0 && found.every(({ blank }) => blank)
  }
}

/** The replacement of single characters, and whether whitespace takes their place. */
interface Replacement {
  readonly blank: boolean
  readonly matches: (character: string) => boolean
}

/** What a normalizer replaces; `undefined` when it may do anything with whitespace. */
function replacementsOf(normalizer: unknown): readonly Replacement[] | undefined {
  if (normalizer === null || normalizer === undefined) return []
  const { type, normalizers, pattern, content } = fields(normalizer)
  if (type === 'Sequence') {
    const all = list(normalizers).map(replacementsOf)
    return all.every((inner) => inner !== undefined) ? all.flat() : undefined
  }
  if (type !== 'Replace') return typeof type === 'string' && NORMALIZERS.includes(type) ? [] : undefined
  const { String: text, Regex: regex } = fields(pattern)
  const blank = typeof content === 'string' && content !== '' && content.trim() === ''
  if (typeof text === 'string') {
    if (text === '' || /\s/.test(text)) return undefined
    return [{ blank: blank && text.length === 1, matches: (character) => text.includes(character) }]
  }
  // One character out of a class without whitespace; longer patterns could look across it.
  if (typeof regex !== 'string' || !/^\[[^\]^\\\s](?:[^\]\\\s]|\\[^a-zA-Z0-9\s])*\]$/.test(regex)) return undefined
  const single = new RegExp(regex)
  return [{ blank, matches: (character) => single.test(character) }]
}

/** Whether Unicode normalization and lower case leave a character as it is, whatever stands before it. */
function isStable(character: string): boolean {
  return (
    character.normalize('NFKC').normalize('NFD').toLowerCase() === character &&
    !/[\p{M}\p{L}\p{N}\p{C}]/u.test(character)
  )
}

/** The prompt in pieces of about a thousand characters, cut before boundaries; joined they are the prompt. */
export function piecesOf(prompt: string, isBoundary: Boundary = isWhitespace): string[] {
  const pieces: string[] = []
  let start = 0
  while (prompt.length - start > PIECE_CHARACTERS) {
    let end = start + PIECE_CHARACTERS
    while (end > start && !isBoundary(prompt.charAt(end))) end--
    if (end === start) {
      end = start + PIECE_CHARACTERS
      while (end < prompt.length && !isBoundary(prompt.charAt(end))) end++
    }
    pieces.push(prompt.slice(start, end))
    start = end
  }
  if (start < prompt.length || pieces.length === 0) pieces.push(prompt.slice(start))
  return pieces
}

function isWhitespace(character: string): boolean {
  return /\s/.test(character)
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
