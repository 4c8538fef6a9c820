/** One picture, with everything left at the model's defaults. Run: node examples/one-picture.mjs "a happy cat" cat.png */
import { loadPipeline } from 'irodori'

const [prompt = '赤いりんご', file = 'picture.png'] = process.argv.slice(2)
const pipe = await loadPipeline('emoji')
const { images, seed, timings, warnings } = await pipe.generate({ prompt })
await images[0].save(file)
for (const { message } of warnings) console.warn(message)
console.log(`${file}: seed ${seed}, ${timings.totalMs.toFixed(0)} ms`)
pipe.dispose()
