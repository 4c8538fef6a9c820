/** Pictures in terminals: kitty's graphics protocol, iTerm2's inline images, or half blocks in 24-bit colour. */

import { type Image, resizeImage } from '../images/image'
import { layOn, WHITE } from '../images/opacity'

/** How a terminal can show a picture. */
export type PictureProtocol = 'kitty' | 'iterm2' | 'blocks'

type Environment = Readonly<Record<string, string | undefined>>

/** What the terminal on the other end understands, by what it says of itself; `undefined` when it can show nothing. */
export function pictureProtocol(env: Environment, isTerminal: boolean): PictureProtocol | undefined {
  if (!isTerminal || env.TERM === 'dumb') return undefined
  const { TERM = '', TERM_PROGRAM = '', COLORTERM = '' } = env
  // Inside tmux and screen the outer terminal's protocols do not get through.
  const nested = env.TMUX !== undefined || /^(screen|tmux)/.test(TERM)
  if (!nested) {
    if (env.KITTY_WINDOW_ID !== undefined || TERM === 'xterm-kitty' || TERM === 'xterm-ghostty') return 'kitty'
    if (TERM_PROGRAM === 'ghostty') return 'kitty'
    if (TERM_PROGRAM === 'iTerm.app' || TERM_PROGRAM === 'WezTerm' || env.LC_TERMINAL === 'iTerm2') return 'iterm2'
  }
  const trueColour = /^(truecolor|24bit)$/.test(COLORTERM) || TERM.endsWith('-direct') || env.WT_SESSION !== undefined
  return trueColour ? 'blocks' : undefined
}

/** Columns a picture takes at most. */
const MAX_COLUMNS = 32
/** Characters of one kitty command's payload: its protocol allows 4096. */
const KITTY_CHUNK = 4096

/**
 * What to write to the terminal so that it shows the picture.
 *
 * @param columns - width of the terminal in characters.
 */
export async function pictureForTerminal(image: Image, protocol: PictureProtocol, columns: number): Promise<string> {
  const width = Math.max(2, Math.min(MAX_COLUMNS, columns))
  switch (protocol) {
    case 'kitty':
      return kitty(base64(await image.encode('png')), width)
    case 'iterm2': {
      const data = base64(await image.encode('png'))
      return `\u001b]1337;File=inline=1;width=${width};preserveAspectRatio=1:${data}\u0007\n`
    }
    case 'blocks':
      return halfBlocks(image, width)
    default:
      return protocol satisfies never
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

/** Transmit and display (a=T) a PNG (f=100), in chunks; q=2 keeps the terminal from answering. */
function kitty(data: string, columns: number): string {
  let text = ''
  for (let start = 0; start < data.length; start += KITTY_CHUNK) {
    const more = start + KITTY_CHUNK < data.length ? 1 : 0
    const control = start === 0 ? `a=T,f=100,q=2,c=${columns},m=${more}` : `m=${more}`
    text += `\u001b_G${control};${data.slice(start, start + KITTY_CHUNK)}\u001b\\`
  }
  return `${text}\n`
}

/** Two pixels a character: the upper half block in the upper pixel's colour on the lower one's. */
async function halfBlocks(image: Image, columns: number): Promise<string> {
  const lines = Math.max(1, Math.round((columns * image.height) / image.width / 2))
  const { data } = await resizeImage(await layOn(image, WHITE), columns, lines * 2)
  const colour = (x: number, y: number) => [0, 1, 2].map((c) => data[(y * columns + x) * 3 + c]).join(';')
  let text = ''
  for (let line = 0; line < lines; line++) {
    for (let x = 0; x < columns; x++) {
      text += `\u001b[38;2;${colour(x, 2 * line)};48;2;${colour(x, 2 * line + 1)}m▀`
    }
    text += '\u001b[0m\n'
  }
  return text
}
