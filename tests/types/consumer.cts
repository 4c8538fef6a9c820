/** The public types as a CommonJS module sees them; compiled, never run. */

import {
  EngineError,
  type GenerateResult,
  type Image,
  loadComponent,
  loadPipeline,
  openDevice,
  optionsFromMetadata,
  type Provenance,
  readMetadata,
  readSafetensors,
  readSafetensorsIndex,
} from 'irodori'
import { type Graph, graphFlops } from 'irodori/graph'
import { MODELS, type ModelDefinition } from 'irodori/models'
import { createSampler, type Sampler } from 'irodori/samplers'
import { openCheckpoint } from 'irodori/weights'

export async function draw(signal: AbortSignal): Promise<Uint8Array> {
  await using pipe = await loadPipeline('emoji', { device: 'cpu', dtype: 'f32', threads: 'auto', signal })
  const { images, seed, timings, warnings }: GenerateResult = await pipe.generate({ prompt: 'a rocket', seed: 7n })
  const [image] = images
  if (image === undefined) throw new EngineError('internal', 'no picture')
  const provenance: Provenance | undefined = image.metadata
  const total: number = timings.totalMs + Number(seed)
  for (const warning of warnings) {
    if (warning.code === 'far-from-training') console.log(warning.nearest.join(', '), total, provenance?.seed)
  }
  for await (const event of pipe.stream({ prompt: 'a rocket', preview: { every: 2 } })) {
    if (event.type === 'image') await event.image.save('rocket.png')
    else if (event.type === 'progress') console.log(event.stage, event.done, event.of)
  }
  return image.encode('webp', { quality: 80 })
}

export async function again(provenance: Provenance): Promise<GenerateResult> {
  using device = openDevice({ threads: 1 })
  using pipe = await loadPipeline('emoji', { device })
  return pipe.generate({ prompt: 'a rocket', ...optionsFromMetadata(provenance) })
}

export async function run(folder: string): Promise<Float32Array | undefined> {
  using unet = await loadComponent(folder, 'transformer', { dtype: 'bf16' })
  const { sample } = await unet.run(await readSafetensors('inputs.safetensors'))
  return sample?.data instanceof Float32Array ? sample.data : undefined
}

// @ts-expect-error a prompt is required
export const noPrompt = loadPipeline('emoji').then((pipe) => pipe.generate({}))
// @ts-expect-error only streams have previews
export const preview = loadPipeline('emoji').then((pipe) => pipe.generate({ prompt: 'x', preview: { every: 1 } }))
// @ts-expect-error a misspelt option
export const misspelt = loadPipeline('emoji', { dtyp: 'f32' })
// @ts-expect-error formats are a closed union
export const gif = (image: Image) => image.encode('gif')

export const sampler: Sampler = createSampler('euler')
export const classes = MODELS.map((model: ModelDefinition) => model.className)
export const cost = (graph: Graph): number => graphFlops(graph)
export const readers = [readMetadata, (file: string) => openCheckpoint([file], { readIndex: readSafetensorsIndex })]
