/**
 * Draws the pictures of the README: docs/images/contact-sheet-{en,ja}.webp from examples/prompts.json, and stickers.webp.
 *
 * `node scripts/contact-sheet.mjs [folder of another model]`; needs a build, and a font with kana for the captions.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const { loadPipeline, makeGrid } = createRequire(import.meta.url)(path.join(root, 'dist', 'index.js'))

const SEED = 1
const COLUMNS = 8
const CELL = 160
const CAPTION = 24
const STICKERS = ['a snowman', 'a panda', '寿司', 'red apple', 'ghost', 'a penguin', 'a cactus', '赤い車']
const GROUND = [58, 110, 165]

/** One sheet: pictures in rows, each with its prompt under it. */
async function sheet(pipe, prompts) {
  const layers = []
  for (const [i, prompt] of prompts.entries()) {
    const { images, warnings } = await pipe.generate({ prompt, seed: SEED })
    const [image] = images
    for (const { message } of warnings) console.warn(`${prompt}: ${message}`)
    const { data, width, height } = image
    const [left, top] = [(i % COLUMNS) * CELL, Math.floor(i / COLUMNS) * (CELL + CAPTION)]
    const input = await sharp(data, { raw: { width, height, channels: 3 } })
      .resize(CELL, CELL)
      .png()
      .toBuffer()
    layers.push({ input, left, top }, { input: caption(prompt), left, top: top + CELL })
  }
  const rows = Math.ceil(prompts.length / COLUMNS)
  const size = { width: COLUMNS * CELL, height: rows * (CELL + CAPTION) }
  return sharp({ create: { ...size, channels: 3, background: 'white' } }).composite(layers)
}

/** The prompt as a picture of its own. */
function caption(prompt) {
  const text = prompt.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const style = 'font-family="sans-serif" font-size="14" fill="#333" text-anchor="middle"'
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${CELL}" height="${CAPTION}"><text x="${CELL / 2}" y="15" ${style}>${text}</text></svg>`,
  )
}

const pipe = await loadPipeline(process.argv[2] ?? 'emoji')
const prompts = JSON.parse(readFileSync(path.join(root, 'examples', 'prompts.json'), 'utf8'))
const out = path.join(root, 'docs', 'images')
mkdirSync(out, { recursive: true })
for (const [language, list] of Object.entries(prompts)) {
  const file = path.join(out, `contact-sheet-${language}.webp`)
  await (await sheet(pipe, list)).webp({ quality: 86 }).toFile(file)
  console.log(`${path.relative(root, file)}: ${list.length} prompts`)
}
const { images } = await pipe.generate({ prompt: STICKERS, seed: SEED, size: CELL, transparent: true })
const stickers = await makeGrid(images, { columns: COLUMNS, background: GROUND })
await stickers.save(path.join(out, 'stickers.webp'), { quality: 86 })
console.log(`docs/images/stickers.webp: ${images.length} prompts`)
pipe.dispose()
