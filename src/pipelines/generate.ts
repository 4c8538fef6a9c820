/** From a request to its pictures: texts, passes of the sampler batch by batch, decoder, upscaler, metadata. */

import { throwIfAborted } from '../errors'
import { type Image, makeImage } from '../images/image'
import { layOver } from '../images/mask'
import { toBytes } from '../images/pixels'
import type { HostLatent } from '../tensor/latent'
import { styledPrompt } from '../text/styles'
import type { PromptPair } from './conditioning'
import type { Evaluation } from './denoise'
import { publishStep } from './diagnostics'
import { draw } from './draw'
import type { StreamEvent } from './events'
import type { GenerateRequest } from './generateOptions'
import type { RequestInputs } from './inputs'
import { decoderInput } from './latents'
import type { PipelineModel } from './model'
import { type Pass, type Passes, planPasses } from './passes'
import { provenanceOf, seedNumber } from './provenance'
import { type GenerateResult, latentTensor } from './result'
import { finalSize } from './sizes'
import { StageClock } from './stageClock'
import { mapInTurns } from './turns'
import { finishingPasses, finishPicture } from './upscale'

/** Pictures denoised in one batch; more are made group after group. Bits do not depend on it, memory does. */
const PICTURES_PER_BATCH = 16

/** What a request is done with. */
export interface Work {
  readonly id: number
  readonly signal: AbortSignal
  readonly tell: (event: StreamEvent) => void
}

/** A request under way. */
interface Job extends Work {
  readonly model: PipelineModel
  readonly request: GenerateRequest
  readonly inputs: RequestInputs
  readonly passes: Passes
  readonly clock: StageClock
}

/**
 * Makes the pictures of a request.
 *
 * @throws AbortError when the work's signal fires, at any stage.
 */
export async function generate(
  model: PipelineModel,
  request: GenerateRequest,
  inputs: RequestInputs,
  work: Work,
): Promise<GenerateResult> {
  const { signal, tell } = work
  const { pictures, output } = request
  const clock = new StageClock()
  throwIfAborted(signal)
  const passes = await planPasses(model, request, inputs, signal)
  if (inputs.init) tell({ type: 'progress', stage: 'encode', done: 1, of: 1 })
  clock.lap('encodeMs')
  const text = await model.reader.read(
    pictures.map((pair) => styled(model, request, pair)),
    request.text,
    signal,
  )
  tell({ type: 'progress', stage: 'text', done: 1, of: 1 })
  clock.lap('textMs')

  const job: Job = { ...work, model, request, inputs, passes, clock }
  const made: HostLatent[] = []
  const images: Image[] = []
  for (let first = 0; first < pictures.length; first += PICTURES_PER_BATCH) {
    const batch = pictures.slice(first, first + PICTURES_PER_BATCH)
    let latents: HostLatent[] = []
    for (const pass of [passes.first, passes.second]) {
      if (pass === undefined) continue
      latents = await draw(model, pass, {
        request,
        inputs,
        pictures: batch,
        texts: text.pairs.slice(first, first + batch.length),
        before: latents,
        signal,
        onEvaluation: (done) => onEvaluation(job, pass, first, done),
      })
    }
    clock.lap('denoiseMs')
    if (output === 'latents') made.push(...latents)
    else for await (const image of finish(job, latents, first)) images.push(image)
  }
  const seeds = pictures.map(({ seed }) => seedNumber(seed))
  return {
    images,
    ...(output === 'latents' ? { latents: latentTensor(made) } : {}),
    seed: seeds[0] ?? 0,
    seeds,
    timings: clock.timings(),
    warnings: text.warnings,
  }
}

/** The pair with the style's words in its prompt. */
function styled({ styles }: PipelineModel, { style }: GenerateRequest, pair: PromptPair): PromptPair {
  if (styles === undefined || style === undefined) return pair
  return { ...pair, prompt: styledPrompt(styles, style, pair.prompt) }
}

/** Tells of an evaluation, and every so many steps but the last shows what each picture is going to be. */
async function onEvaluation(job: Job, pass: Pass, first: number, done: Evaluation): Promise<void> {
  const { id, model, request, passes, tell, signal } = job
  const { evaluation, rows, durationMs, step, estimates } = done
  const [before, after] = [pass === passes.second ? passes.first.evaluations : 0, passes.second?.evaluations ?? 0]
  const of = passes.first.evaluations + after
  publishStep({ id, model: model.name, evaluation: before + evaluation, of, rows, durationMs })
  const batches = Math.ceil(request.pictures.length / PICTURES_PER_BATCH)
  const earlier = (first / PICTURES_PER_BATCH) * of + before
  tell({ type: 'progress', stage: 'denoise', done: earlier + evaluation, of: batches * of })

  const { previewEvery } = request
  const { preview } = model
  if (!preview || step === undefined || previewEvery === 0 || step % previewEvery !== 0) return
  if (before + evaluation === of) return
  const inputs = estimates.map((latent) => decoderInput(latent, preview.scaling))
  const pictures = await preview.decode(inputs, pass.size, passes.tiling, signal)
  for (const [i, { data, width, height }] of pictures.entries()) {
    const image = makeImage(await toBytes(data, 0, 1), width, height)
    tell({ type: 'preview', index: first + i, step, image })
  }
}

/** Latents to finished pictures, told as they are there. */
async function* finish(job: Job, latents: readonly HostLatent[], first: number): AsyncGenerator<Image> {
  const { model, request, inputs, passes, signal, tell, clock } = job
  const { codec } = model
  const of = request.pictures.length
  const scaled = await mapInTurns(latents, (latent) => decoderInput(latent, codec.scaling))
  const pictures = await codec.decode(scaled, passes.size, passes.tiling, signal)
  tell({ type: 'progress', stage: 'decode', done: first + latents.length, of })
  clock.lap('decodeMs')
  const size = finalSize(inputs.size, passes.size, request, model.sizes)
  const { transparent } = request
  const perPicture = finishingPasses(passes.size, { size, transparent }, model.sizes)
  const overlay = await inputs.overlay?.(size)
  for (const [i, picture] of pictures.entries()) {
    const index = first + i
    const metadata = provenanceOf(model, request, inputs, { ...passes, final: size }, index)
    let enlarged = index * perPicture
    const drawn = await finishPicture(model, picture, { size, transparent, metadata }, signal, () =>
      tell({ type: 'progress', stage: 'upscale', done: ++enlarged, of: of * perPicture }),
    )
    const image = overlay ? await layOver(drawn, overlay, metadata) : drawn
    throwIfAborted(signal)
    yield image
    tell({ type: 'image', index, image })
  }
  clock.lap('upscaleMs')
}
