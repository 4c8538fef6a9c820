/**
 * Long prompts: a prompt as windows of 75 tokens, split as AUTOMATIC1111's web UI does.
 *
 * A window ends at BREAK, or when it is full; then, if a comma stands among its last 20 tokens, what follows that comma
 * moves to the next window. Vectors of one embedding stay together.
 */

import { throwIfAborted } from '../errors'
import type { ClipTokenizer } from './clipTokenizer'
import { type PromptSyntax, parsePrompt } from './promptSyntax'
import { findPlaceholders, type Placeholder } from './textualInversion'
import { checkPrompt } from './tokenizer'
import { makeWindow, type PromptWindow, type WeightedToken, WINDOW_TOKENS } from './window'

/** How far from a full window's end a comma may be for the split to be there. */
const COMMA_REACH = 20

export interface PromptWindowOptions {
  readonly syntax: PromptSyntax
  /** Where the rest is cut off; 1 is what diffusers reads. */
  readonly maxWindows: number
  /** Embeddings that the prompt may name, with the vectors for the encoder that is going to read it. @defaultValue none */
  readonly placeholders?: readonly Placeholder[]
  /** The prompt's name in messages. @defaultValue `'prompt'` */
  readonly option?: string
  readonly signal?: AbortSignal | undefined
}

/** A prompt as rows of a text encoder. */
export interface PromptWindows {
  /** One or more. */
  readonly windows: readonly PromptWindow[]
  /** Of the whole prompt, vectors of embeddings counted, starts and ends not. */
  readonly tokens: number
  /** Whether windows beyond `maxWindows` were cut off. */
  readonly truncated: boolean
}

/**
 * Reads a prompt and splits it into windows.
 *
 * @throws {@link EngineError} `invalid-option` for malformed weights or an overlong prompt.
 */
export async function promptWindows(
  tokenizer: ClipTokenizer,
  prompt: string,
  options: PromptWindowOptions,
): Promise<PromptWindows> {
  const { syntax, maxWindows, placeholders = [], option, signal } = options
  checkPrompt(prompt)
  const groups: Group[] = []
  for (const part of parsePrompt(prompt, syntax, option)) {
    if (part.kind === 'break') {
      groups.push('break')
      continue
    }
    const { text, weight } = part
    for (const piece of findPlaceholders(text, placeholders)) {
      throwIfAborted(signal)
      if (typeof piece === 'string') {
        for (const id of await tokenizer.encode(piece)) groups.push([{ id, weight }])
      } else {
        groups.push(piece.vectors.map((vector) => ({ id: 0, weight, vector })))
      }
    }
  }
  throwIfAborted(signal)
  const split = splitGroups(groups, tokenizer.comma, maxWindows)
  return {
    windows: split.windows.map((tokens) => makeWindow(tokens, tokenizer)),
    tokens: groups.reduce((sum, group) => (group === 'break' ? sum : sum + group.length), 0),
    truncated: split.truncated,
  }
}

/** Tokens that stay together, or the end of a window. */
type Group = readonly WeightedToken[] | 'break'

/** Fills windows one after the other. */
function splitGroups(
  groups: readonly Group[],
  comma: number | undefined,
  maxWindows: number,
): { readonly windows: readonly (readonly WeightedToken[])[]; readonly truncated: boolean } {
  const done: (readonly WeightedToken[])[] = []
  let open: WeightedToken[] = []
  let afterComma = 0 // tokens of the open window up to its last comma, that one included; 0 is none
  const close = (at = open.length) => {
    done.push(open.slice(0, at))
    open = open.slice(at)
    afterComma = 0
  }
  const isComma = (group: readonly WeightedToken[]) => group.length === 1 && group[0]?.id === comma
  for (const [i, group] of groups.entries()) {
    const last = done.length + 1 === maxWindows
    if (group === 'break') {
      if (last) return { windows: [...done, open], truncated: groups.slice(i).some((rest) => rest !== 'break') }
      close()
      continue
    }
    if (open.length + group.length > WINDOW_TOKENS) {
      if (last) return { windows: [...done, open], truncated: true }
      const near = afterComma > 0 && open.length === WINDOW_TOKENS && open.length - afterComma < COMMA_REACH
      close(near && !isComma(group) ? afterComma : undefined)
      // What moved along may leave too little room for the vectors of an embedding.
      if (open.length + group.length > WINDOW_TOKENS) close()
    }
    open.push(...group)
    if (isComma(group)) afterComma = open.length
  }
  return { windows: open.length > 0 || done.length === 0 ? [...done, open] : done, truncated: false }
}
