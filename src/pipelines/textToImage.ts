/** Text to image: prompt -> text states -> denoised latents -> decoder -> upscaler -> pictures. */

import { performance } from 'node:perf_hooks'
import { throwIfAborted } from '../errors'
import { type Image, makeImage } from '../images/image'
import { toBytes } from '../images/pixels'
import { scheduleFromConfig } from '../samplers/schedules/fromConfig'
import { readPrompts } from './conditioning'
import { denoise, type Evaluation } from './denoise'
import { publishStep } from './diagnostics'
import type { StreamEvent } from './events'
import type { GenerateRequest } from './generateOptions'
import { decoderInput, pictureNoise } from './latents'
import type { TextToImageModel } from './model'
import { provenanceOf, seedNumber } from './provenance'
import type { GenerateResult } from './result'
import { mapInTurns } from './turns'
import { finishPicture, upscalerPasses } from './upscale'

/** Pictures denoised in one batch; more are made group after group. Bits do not depend on it, memory does. */
const PICTURES_PER_BATCH = 16

/** What a request is done with. */
export interface Work {
  readonly id: number
  readonly signal: AbortSignal
  readonly tell: (event: StreamEvent) => void
}

/**
 * Makes the pictures of a request.
 *
 * @throws AbortError when the work's signal fires, at any stage.
 */
export async function textToImage(
  model: TextToImageModel,
  request: GenerateRequest,
  work: Work,
): Promise<GenerateResult> {
  const { signal, tell } = work
  const clock = new StageClock()
  throwIfAborted(signal)
  const { sampler, schedule, steps, count, size } = request
  const plan = scheduleFromConfig(model.schedulerConfig, steps, { sampler, schedule })
  const text = await readPrompts(model.reader, request.prompt, request.negativePrompt, signal)
  const texts = request.guidance === 1 ? [text.cond] : [text.uncond, text.cond]
  using _prepared = await model.prepare(
    plan.schedule.steps().map(([{ t }]) => t),
    texts,
    signal,
  )
  tell({ type: 'progress', stage: 'text', done: 1, of: 1 })
  clock.lap('textMs')

  const images: Image[] = []
  const passes = upscalerPasses(model, size)
  const batches = Math.ceil(count / PICTURES_PER_BATCH)
  for (let batch = 0; batch < batches; batch++) {
    const first = batch * PICTURES_PER_BATCH
    const indices = Array.from({ length: Math.min(PICTURES_PER_BATCH, count - first) }, (_, i) => first + i)
    const latents = await denoise(model.denoiser, {
      plan,
      guidance: { scale: request.guidance },
      cond: text.cond,
      uncond: text.uncond,
      noises: await mapInTurns(indices, (index) =>
        pictureNoise(request.rng, request.seed + BigInt(index), model.latentSize),
      ),
      signal,
      async onEvaluation(done) {
        const { evaluation, of, rows, durationMs } = done
        publishStep({ id: work.id, model: model.name, evaluation, of, rows, durationMs })
        tell({ type: 'progress', stage: 'denoise', done: batch * of + evaluation, of: batches * of })
        await tellPreviews(model, request, work, first, done)
      },
    })
    clock.lap('denoiseMs')
    const pictures = await model.decode(
      await mapInTurns(latents, (latent) => decoderInput(latent, model.latentScaling)),
      signal,
    )
    tell({ type: 'progress', stage: 'decode', done: first + indices.length, of: count })
    clock.lap('decodeMs')
    for (const [i, picture] of pictures.entries()) {
      const metadata = provenanceOf(model, request, plan, first + i)
      let pass = (first + i) * passes
      const image = await finishPicture(model, picture, size, metadata, signal, () =>
        tell({ type: 'progress', stage: 'upscale', done: ++pass, of: count * passes }),
      )
      throwIfAborted(signal)
      images.push(image)
      tell({ type: 'image', index: first + i, image })
    }
    clock.lap('upscaleMs')
  }
  return { images, seed: seedNumber(request.seed), timings: clock.timings(), warnings: text.warnings }
}

/** Every so many steps but the last, what each picture is going to be, decoded at the native size. */
async function tellPreviews(
  model: TextToImageModel,
  request: GenerateRequest,
  work: Work,
  first: number,
  { evaluation, of, step, estimates }: Evaluation,
): Promise<void> {
  const { previewEvery } = request
  if (step === undefined || previewEvery === 0 || step % previewEvery !== 0 || evaluation === of) return
  const inputs = estimates.map((latent) => decoderInput(latent, model.latentScaling))
  for (const [i, { data, width, height }] of (await model.decode(inputs, work.signal)).entries()) {
    const image = makeImage(await toBytes(data, 0, 1), width, height)
    work.tell({ type: 'preview', index: first + i, step, image })
  }
}

/** Adds up milliseconds by stage. */
class StageClock {
  readonly #started = performance.now()
  #last = this.#started
  readonly #spent = { textMs: 0, denoiseMs: 0, decodeMs: 0, upscaleMs: 0 }

  lap(stage: 'textMs' | 'denoiseMs' | 'decodeMs' | 'upscaleMs'): void {
    const now = performance.now()
    this.#spent[stage] += now - this.#last
    this.#last = now
  }

  timings(): GenerateResult['timings'] {
    return { ...this.#spent, totalMs: performance.now() - this.#started }
  }
}
