/**
 * Weights in prompts, as AUTOMATIC1111's web UI reads them: `(more)`, `[less]`, `(word:1.2)`, `BREAK`.
 *
 * Brackets nest and multiply: 1.1 for a pair of round ones, 1 / 1.1 for square ones, the number where one is given. A
 * backslash makes a bracket (or itself) a character. As there, an opening bracket that is never closed reaches to the
 * end, a closing one without partner is a character, and so is a weight outside round brackets. What differs: BREAK
 * splits inside brackets too, where the web UI reads it out as a word.
 */

import { EngineError } from '../errors'

/** How prompts are read: `'weights'`, or `'plain'`, where brackets and BREAK are text like any other. */
export type PromptSyntax = 'weights' | 'plain'

export const PROMPT_SYNTAXES = ['weights', 'plain'] as const satisfies readonly PromptSyntax[]

/** A stretch of text with one weight, or a place where the next window starts. */
export type PromptPart =
  | { readonly kind: 'text'; readonly text: string; readonly weight: number }
  | { readonly kind: 'break' }

const ROUND = 1.1
const SQUARE = 1 / 1.1

/** An escaped character, a bracket, a weight that closes one, a run of other characters; every character is in one. */
const PIECE = /\\[\\()[\]]|[\\()[\]]|:\s*([+-]?[.\d]+)\s*\)|[^\\()[\]:]+|:/g
/** BREAK as a word of its own. */
const BREAK = /(?<![\p{L}\p{N}_])BREAK(?![\p{L}\p{N}_])/u
/** Brackets open at once; 1.1 to this power is 13780. Reading more of them would take time for nothing. */
const MAX_DEPTH = 100

/**
 * Reads a prompt.
 *
 * @param prompt - any text.
 * @param option - its name in messages.
 * @returns neighbours with one weight joined; nothing for an empty prompt.
 *
 * @example
 * parsePrompt('a (((house:1.3)) [on] a (hill:0.5)', 'weights')
 *
 * @throws {@link EngineError} `invalid-option` naming the character where a weight is no number, `(cat:1.2.3)`, where
 * weights multiply to more than numbers can say, and where more brackets are open than anyone means.
 */
export function parsePrompt(prompt: string, syntax: PromptSyntax, option = 'prompt'): readonly PromptPart[] {
  if (syntax === 'plain') return prompt === '' ? [] : [{ kind: 'text', text: prompt, weight: 1 }]
  const parts: Open[] = []
  const round: number[] = []
  const square: number[] = []
  const multiply = (from = 0, factor: number) => {
    for (let i = from; i < parts.length; i++) {
      const part = parts[i]
      if (part) part.weight *= factor
    }
  }
  for (const match of prompt.matchAll(PIECE)) {
    const [piece, number] = match
    if (piece.startsWith('\\')) parts.push({ text: piece.slice(1), weight: 1, at: match.index })
    else if (piece === '(' || piece === '[') {
      if (round.length + square.length === MAX_DEPTH) {
        throw malformed(option, match.index, `at most ${MAX_DEPTH} brackets open at once`, 'one more')
      }
      const brackets = piece === '(' ? round : square
      brackets.push(parts.length)
    } else if (number !== undefined && round.length > 0) multiply(round.pop(), readWeight(number, match.index, option))
    else if (piece === ')' && round.length > 0) multiply(round.pop(), ROUND)
    else if (piece === ']' && square.length > 0) multiply(square.pop(), SQUARE)
    else {
      const texts = piece.split(BREAK)
      for (const [i, text] of texts.entries()) {
        if (i > 0) parts.push({ text: undefined, weight: 1, at: match.index })
        const head = i === 0 ? text : text.trimStart()
        parts.push({ text: i === texts.length - 1 ? head : head.trimEnd(), weight: 1, at: match.index })
      }
    }
  }
  for (const from of round) multiply(from, ROUND)
  for (const from of square) multiply(from, SQUARE)
  return join(parts, option)
}

/** A part whose weight is not final; without text it is a BREAK. */
interface Open {
  text: string | undefined
  weight: number
  readonly at: number
}

function readWeight(number: string, at: number, option: string): number {
  const value = Number(number)
  if (Number.isFinite(value)) return value
  throw malformed(option, at, 'a number as weight', number)
}

/** Neighbours of one weight as one part; parts without text then go. */
function join(parts: readonly Open[], option: string): PromptPart[] {
  const joined: Open[] = []
  for (const part of parts) {
    const last = joined.at(-1)
    if (last?.text !== undefined && part.text !== undefined && last.weight === part.weight) last.text += part.text
    else joined.push({ ...part })
  }
  return joined.flatMap(({ text, weight, at }): PromptPart[] => {
    if (text === undefined) return [{ kind: 'break' }]
    if (!Number.isFinite(Math.fround(weight)))
      throw malformed(option, at, 'weights whose product is a number', `${weight}`)
    return text === '' ? [] : [{ kind: 'text', text, weight }]
  })
}

function malformed(option: string, at: number, expected: string, got: string): EngineError {
  const message = `${option}: at character ${at + 1}: expected ${expected}, got ${got}`
  return new EngineError('invalid-option', message, { option, position: at, expected, got })
}
