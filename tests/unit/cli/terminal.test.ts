/** Terminals get pictures in the form they understand, and nothing when they understand none. */

import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { pictureForTerminal, pictureProtocol } from '../../../src/cli/terminal'
import { makeImage } from '../../../src/images/image'

const ESC = '\u001b'
const BEL = '\u0007'

/** Bytes that no PNG makes small. */
function noiseBytes(count: number): Uint8Array {
  let state = 1
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}
const noise = makeImage(noiseBytes(64 * 64 * 3), 64, 64)

describe('pictureProtocol', () => {
  it.each([
    [{ TERM: 'xterm-kitty' }, 'kitty'],
    [{ TERM: 'xterm-256color', KITTY_WINDOW_ID: '1' }, 'kitty'],
    [{ TERM: 'xterm-ghostty', COLORTERM: 'truecolor' }, 'kitty'],
    [{ TERM: 'xterm-256color', TERM_PROGRAM: 'iTerm.app', COLORTERM: 'truecolor' }, 'iterm2'],
    [{ TERM: 'xterm-256color', TERM_PROGRAM: 'WezTerm' }, 'iterm2'],
    [{ TERM: 'tmux-256color', TMUX: '/tmp/tmux', KITTY_WINDOW_ID: '1', COLORTERM: 'truecolor' }, 'blocks'],
    [{ TERM: 'xterm-256color', COLORTERM: '24bit' }, 'blocks'],
    [{ TERM: 'xterm-direct' }, 'blocks'],
    [{ TERM: 'xterm-256color' }, undefined],
    [{ TERM: 'dumb', COLORTERM: 'truecolor' }, undefined],
    [{}, undefined],
  ])('%j: %s', (env, protocol) => {
    expect(pictureProtocol(env, true)).toBe(protocol)
    expect(pictureProtocol(env, false)).toBeUndefined()
  })
})

describe('pictureForTerminal', () => {
  it('sends kitty the PNG in chunks of at most 4096 characters', async () => {
    const text = await pictureForTerminal(noise, 'kitty', 80)
    const commands = [...text.matchAll(new RegExp(`${ESC}_G([^;]*);([^${ESC}]*)${ESC}\\\\`, 'g'))]
    expect(commands.length).toBeGreaterThan(1)
    expect(commands[0]?.[1]).toBe('a=T,f=100,q=2,c=32,m=1')
    expect(commands.slice(1).map(([, control]) => control)).toEqual([
      ...Array.from({ length: commands.length - 2 }, () => 'm=1'),
      'm=0',
    ])
    expect(Math.max(...commands.map(([, , chunk = '']) => chunk.length))).toBeLessThanOrEqual(4096)
    const png = Buffer.from(commands.map(([, , chunk]) => chunk).join(''), 'base64')
    expect(new Uint8Array(await sharp(png).removeAlpha().raw().toBuffer())).toEqual(noise.data)
  })

  it('sends iTerm2 the PNG inline', async () => {
    const text = await pictureForTerminal(noise, 'iterm2', 20)
    const head = `${ESC}]1337;File=inline=1;width=20;preserveAspectRatio=1:`
    expect(text.startsWith(head) && text.endsWith(`${BEL}\n`)).toBe(true)
    const data = text.slice(head.length, -2)
    expect((await sharp(Buffer.from(data, 'base64')).metadata()).width).toBe(64)
  })

  it('draws two pixels a character in blocks', async () => {
    const red = makeImage(
      new Uint8Array(16 * 16 * 3).map((_, i) => (i % 3 === 0 ? 255 : 0)),
      16,
      16,
    )
    const lines = (await pictureForTerminal(red, 'blocks', 8)).split('\n')
    expect(lines.length).toBe(5) // 4 lines of 8, and what follows the last line's end
    expect(lines[0]).toBe(`${`${ESC}[38;2;255;0;0;48;2;255;0;0m▀`.repeat(8)}${ESC}[0m`)
  })
})
