/** One pass of the sampler over some pictures of a request. */

import type { HostLatent } from '../tensor/latent'
import type { TextPair } from './conditioning'
import { controlsAt } from './control'
import { denoise, type Evaluation } from './denoise'
import type { GenerateRequest } from './generateOptions'
import type { RequestInputs } from './inputs'
import { pictureNoise } from './latents'
import type { PipelineModel } from './model'
import type { Pass } from './passes'
import type { PictureRequest } from './pictureRequests'
import { cellsOf } from './sizes'
import { mapInTurns } from './turns'

/** What a pass draws. */
export interface DrawTask {
  readonly request: GenerateRequest
  readonly inputs: RequestInputs
  readonly pictures: readonly PictureRequest[]
  /** Of each picture. */
  readonly texts: readonly TextPair[]
  /** Latents of the pass before. */
  readonly before: readonly HostLatent[]
  readonly signal: AbortSignal
  readonly onEvaluation: (done: Evaluation) => void | Promise<void>
}

/**
 * Draws.
 *
 * @returns one latent for each picture.
 */
export async function draw(model: PipelineModel, pass: Pass, task: DrawTask): Promise<HostLatent[]> {
  const { request, inputs, pictures, texts, signal } = task
  const { size, plan } = pass
  // A network that is told the guidance is run with the prompt alone.
  const scale = model.abilities.embedsGuidance ? 1 : request.guidance
  const states = texts.flatMap(({ cond, uncond }) => (scale === 1 && !plan.usesUncond ? [cond] : [uncond, cond]))
  const canvas = await pass.canvas(task.before, signal)
  const hints = await Promise.all(
    inputs.control.map(async ({ net, scale, interval, scaled }) => ({
      net,
      scale,
      interval,
      picture: await scaled(size),
    })),
  )
  const cells = { channels: model.latentChannels, ...cellsOf(size, model.pixelsPerCell) }
  using session = await model.session(
    {
      size,
      times: plan.schedule.steps().map(([{ t }]) => t),
      texts: [...new Set(states)],
      guidance: request.guidance,
    },
    signal,
  )
  const started = await mapInTurns(pictures, ({ seed }, i) => {
    const noise = pictureNoise(request.rng, seed, cells, canvas.draws)
    return { ...canvas.begin(noise, plan, i), noise: noise.between }
  })
  return await denoise(session.denoise, {
    plan,
    guidance: { scale, rescale: request.guidanceRescale, interval: request.guidanceInterval },
    pictures: started.flatMap((beginning, i) => {
      const text = texts[i]
      return text === undefined ? [] : [{ ...beginning, ...text }]
    }),
    controlsAt: (index, of) => controlsAt(hints, index, of),
    signal,
    onEvaluation: task.onEvaluation,
  })
}
