/**
 * A picture from a picture, and one of which the left half is drawn anew; both made again from their metadata.
 * Run: node examples/from-a-picture.mjs
 */
import { loadPipeline, optionsFromMetadata, readMetadata } from 'irodori'

const pipe = await loadPipeline('emoji')
const [apple] = (await pipe.generate({ prompt: 'red apple', seed: 7 })).images
await apple.save('apple.png')

const prompt = 'green apple'
const [greener] = (await pipe.generate({ prompt, init: 'apple.png', strength: 0.6, seed: 7 })).images
await greener.save('greener.png')

const { width, height } = apple
const mask = {
  width,
  height,
  channels: 1,
  data: Uint8Array.from({ length: width * height }, (_, i) => (i % width < width / 2 ? 255 : 0)),
}
const [half] = (await pipe.generate({ prompt, init: 'apple.png', mask, seed: 7 })).images
await half.save('half.png')

const again = optionsFromMetadata(await readMetadata('half.png'), { init: 'apple.png', mask })
const [same] = (await pipe.generate({ prompt, ...again })).images
console.log(Buffer.compare(same.data, half.data) === 0 ? 'the same picture again' : 'another picture')
pipe.dispose()
