/** Draws for draw.py: a request as JSON on stdin, the pictures' bytes (RGB, one after another) on stdout. */
import { createRequire } from 'node:module'
import { json } from 'node:stream/consumers'

const { loadPipeline } = createRequire(import.meta.url)('../dist/index.js')
/** Pictures of one call. */
const TOGETHER = 32

const { model, quantize, threads, prompts, seed, steps, guidance, size } = await json(process.stdin)
// In float32, so that scores do not depend on the machine.
const pipe = await loadPipeline(model, { dtype: 'f32', quantize, threads })
for (let start = 0; start < prompts.length; start += TOGETHER) {
  const prompt = prompts.slice(start, start + TOGETHER)
  const seeds = prompt.map((_, i) => seed * 1_000_000 + start + i)
  const { images } = await pipe.generate({ prompt, seed: seeds, steps, guidance, size })
  for (const { data } of images) process.stdout.write(data)
}
pipe.dispose()
