/**
 * Stable Diffusion from a diffusers folder or one safetensors file: two prompts in one batch, a LoRA put on and taken off.
 * Run: node examples/stable-diffusion.mjs model.safetensors [style.safetensors]
 */
import { loadPipeline } from 'irodori'

const [model, lora] = process.argv.slice(2)
if (model === undefined) throw new Error('usage: node examples/stable-diffusion.mjs <folder or file> [LoRA]')

const pipe = await loadPipeline(model, {
  onProgress: ({ component, doneBytes, totalBytes }) => {
    if (doneBytes === totalBytes) console.log(component, `${(totalBytes / 1e6).toFixed(0)} MB`)
  },
})
const request = {
  prompt: ['a lighthouse at dusk, (oil painting:1.2)', 'a lighthouse at dawn, watercolour'],
  negativePrompt: 'text, frame',
  steps: 20,
  sampler: 'DPM++ 2M Karras',
  seed: [1, 2],
}
for (const [i, image] of (await pipe.generate(request)).images.entries()) await image.save(`lighthouse-${i}.png`)

if (lora !== undefined) {
  const styled = await pipe.withLoras([{ file: lora, scale: 0.8 }])
  const [image] = (await styled.generate({ ...request, prompt: request.prompt[0], seed: 1 })).images
  await image.save('lighthouse-styled.png')
}
pipe.dispose()
