/** Prompts become windows of 75 tokens: split at BREAK and near commas, padded, weighted, with vectors kept together. */

import { beforeAll, describe, expect, it } from 'vitest'
import { type ClipTokenizer, publishedClipTokenizer } from '../../../src/text/clipTokenizer'
import { type PromptWindowOptions, promptWindows } from '../../../src/text/promptWindows'
import type { Placeholder } from '../../../src/text/textualInversion'
import { overrideInputs, type PromptWindow, padWindows, WINDOW_LENGTH } from '../../../src/text/window'

let tokenizer: ClipTokenizer
let marks: ClipTokenizer
beforeAll(async () => {
  tokenizer = await publishedClipTokenizer('end')
  marks = await publishedClipTokenizer('!')
})

const A = 320 // a
const CAT = 2368
const COMMA = 267
const read = (prompt: string, options: Partial<PromptWindowOptions> = {}) =>
  promptWindows(tokenizer, prompt, { syntax: 'weights', maxWindows: 10, ...options })
/** The text of a window: what stands between start and the first end. */
const body = ({ ids }: PromptWindow) => [...ids.subarray(1, ids.indexOf(tokenizer.eos))]
const times = (count: number, word = 'a') => Array.from({ length: count }, () => word).join(' ')

describe('promptWindows', () => {
  it('one window is what diffusers gives to the encoder', async () => {
    const { windows, tokens, truncated } = await read('a cat')
    expect({ tokens, truncated, count: windows.length }).toEqual({ tokens: 2, truncated: false, count: 1 })
    const [window] = windows
    expect([...(window?.ids ?? [])]).toEqual([49406, A, CAT, ...Array(74).fill(49407)])
    expect(window?.weights).toBeUndefined()
    const second = await promptWindows(marks, 'a cat', { syntax: 'weights', maxWindows: 1 })
    expect([...(second.windows[0]?.ids ?? [])]).toEqual([49406, A, CAT, 49407, ...Array(73).fill(0)])
  })

  it('an empty prompt is an empty window', async () => {
    const { windows, tokens } = await read('')
    expect(tokens).toBe(0)
    expect(windows.map((window) => [...window.ids])).toEqual([[49406, ...Array(76).fill(49407)]])
  })

  it.each([
    [75, [75]],
    [76, [75, 1]],
    [150, [75, 75]],
    [151, [75, 75, 1]],
  ])('%i tokens without commas fill windows of %j', async (count, want) => {
    const { windows, tokens } = await read(times(count))
    expect(windows.map((window) => body(window).length)).toEqual(want)
    expect(tokens).toBe(count)
  })

  it.each([
    ['at the end', 74, 75],
    ['19 tokens before it', 55, 56],
    ['20 tokens before it', 54, 75],
    ['at the start', 0, 75],
  ])('a window that is full is cut behind a comma %s', async (_, before, want) => {
    const prompt = `${times(before)}, ${times(100 - before)}`
    const { windows } = await read(prompt)
    expect(windows.map((window) => body(window).length)).toEqual([want, 101 - want])
    expect(windows.flatMap(body)).toEqual(await tokenizer.encode(prompt))
  })

  it('a comma that does not fit starts the next window', async () => {
    const { windows } = await read(`${times(60)}, ${times(14)}, ${times(10)}`)
    expect(windows.map(body)).toEqual([
      [...Array(60).fill(A), COMMA, ...Array(14).fill(A)],
      [COMMA, ...Array(10).fill(A)],
    ])
  })

  it('BREAK ends a window, full or not', async () => {
    const { windows, tokens } = await read('a BREAK cat BREAK BREAK a')
    expect(windows.map(body)).toEqual([[A], [CAT], [], [A]])
    expect(tokens).toBe(3)
    expect((await read('a BREAK')).windows.map(body)).toEqual([[A]])
    expect((await read('a BREAK cat', { syntax: 'plain' })).windows).toHaveLength(1)
  })

  it('weights stand at their tokens and nowhere else', async () => {
    const { windows } = await read(`(cat:1.5) a [cat] ${times(73)}`)
    expect(windows).toHaveLength(2)
    const want = new Float32Array(WINDOW_LENGTH).fill(1)
    want[1] = 1.5
    want[3] = 1 / 1.1
    expect(windows[0]?.weights).toEqual(want)
    expect(windows[1]?.weights).toBeUndefined()
    expect(body(windows[0] as PromptWindow).slice(0, 3)).toEqual([CAT, A, CAT])
  })

  it('words that weights split are read apart, as in the web UI', async () => {
    const { windows } = await read('cat(s)')
    expect(body(windows[0] as PromptWindow)).toEqual([
      ...(await tokenizer.encode('cat')),
      ...(await tokenizer.encode('s')),
    ])
  })

  it('is cut off behind the last window allowed, which is filled', async () => {
    const prompt = `${times(70)}, ${times(100)}`
    const one = await read(prompt, { maxWindows: 1 })
    expect(one).toMatchObject({ tokens: 171, truncated: true })
    expect(one.windows.map(body)).toEqual([(await tokenizer.encode(prompt)).slice(0, 75)])
    const two = await read(prompt, { maxWindows: 2 })
    expect(two.windows.map((window) => body(window).length)).toEqual([71, 75])
    expect(two.truncated).toBe(true)
    expect((await read(times(75), { maxWindows: 1 })).truncated).toBe(false)
    expect((await read('a BREAK', { maxWindows: 1 })).truncated).toBe(false)
    expect(await read('a BREAK cat', { maxWindows: 1 })).toMatchObject({ truncated: true, tokens: 2 })
  })

  it('reads Japanese, emoji and nothing but spaces', async () => {
    for (const prompt of ['(赤いりんご:1.2)、🍎', '   \n', '👩‍🚀'.repeat(40)]) {
      const { windows, tokens } = await read(prompt)
      expect(windows.flatMap(body)).toHaveLength(tokens)
      for (const { ids } of windows) expect(ids.every((id) => id >= 0 && id < tokenizer.vocabulary)).toBe(true)
    }
  })

  it('names the option in messages and stops for a signal', async () => {
    await expect(read('(a:1.1.1)', { option: 'negativePrompt' })).rejects.toThrow(/^negativePrompt: at character 3/)
    await expect(read('a', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })
})

describe('embeddings', () => {
  const make = (name: string, count: number): Placeholder => ({
    name,
    vectors: Array.from({ length: count }, (_, i) => new Float32Array(4).fill(i + 1)),
  })
  const placeholders = [make('<cat-toy>', 2), make('bad', 1), make('bad-hands-5', 3), make('ねこ', 1)]

  it.each([
    ['a <cat-toy>, cat', [A, 0, 0, COMMA, CAT], [2, 3]],
    ['a <CAT-TOY>cat', [A, 0, 0, CAT], [2, 3]],
    ['Bad cat', [0, CAT], [1]],
    ['a bad-hands-5', [A, 0, 0, 0], [2, 3, 4]],
    ['badly ねこcat', undefined, []],
    ['<cat-toy><cat-toy>', [0, 0, 0, 0], [1, 2, 3, 4]],
  ])('%s', async (prompt, ids, positions) => {
    const { windows, tokens } = await read(prompt, { placeholders })
    const [window] = windows
    expect(body(window as PromptWindow)).toEqual(ids ?? (await tokenizer.encode(prompt)))
    expect(window?.overrides.map(({ position }) => position)).toEqual(positions)
    expect(tokens).toBe(body(window as PromptWindow).length)
  })

  it('have weights and stay in one window', async () => {
    const { windows } = await read(`${times(74)} (<cat-toy>:1.4)`, { placeholders })
    expect(windows.map((window) => body(window).length)).toEqual([74, 2])
    const [, second] = windows
    expect(second?.overrides.map(({ position, vector: [first] }) => [position, first])).toEqual([
      [1, 1],
      [2, 2],
    ])
    expect([...(second?.weights ?? [])].slice(0, 4)).toEqual([1, Math.fround(1.4), Math.fround(1.4), 1])
  })

  it('move along with what follows a comma', async () => {
    const { windows } = await read(`${times(70)}, <cat-toy> ${times(4)}`, { placeholders })
    expect(windows.map((window) => body(window).length)).toEqual([71, 6])
    expect(windows.map(({ overrides }) => overrides.map(({ position }) => position))).toEqual([[], [1, 2]])
  })

  it('become rows behind those of the text', async () => {
    const { windows } = await read('a <cat-toy>', { placeholders })
    const { token_rows, extra_embeddings } = overrideInputs(windows[0] as PromptWindow, 4, 5)
    expect([...token_rows].slice(0, 6)).toEqual([0, 1, 77, 78, 4, 5])
    expect([...extra_embeddings]).toEqual([1, 1, 1, 1, 2, 2, 2, 2, ...Array(12).fill(0)])
    expect(() => overrideInputs(windows[0] as PromptWindow, 4, 1)).toThrow(/at most 1 vectors, got 2/)
  })
})

describe('padWindows', () => {
  it('puts empty windows behind a prompt, and takes none away', async () => {
    const { windows } = await read('a cat')
    const padded = padWindows(windows, 3, tokenizer)
    expect(padded.map(body)).toEqual([[A, CAT], [], []])
    expect(padWindows(padded, 1, tokenizer)).toHaveLength(3)
  })
})
