/** Progress and previews while a picture is made; Ctrl-C stops it cleanly. Run: node examples/stream.mjs "a happy cat" */
import { loadPipeline } from 'irodori'

const controller = new AbortController()
process.once('SIGINT', () => controller.abort())

const pipe = await loadPipeline('emoji')
const options = {
  prompt: process.argv[2] ?? 'a happy cat',
  steps: 20,
  preview: { every: 5 },
  signal: controller.signal,
}
try {
  for await (const event of pipe.stream(options)) {
    if (event.type === 'progress') console.log(event.stage, `${event.done}/${event.of}`)
    if (event.type === 'preview') await event.image.save(`preview-${event.step}.png`)
    if (event.type === 'image') await event.image.save('picture.webp')
  }
} catch (error) {
  if (error.code !== 'ABORT_ERR') throw error
  console.log('stopped')
}
pipe.dispose()
