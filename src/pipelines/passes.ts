/** What a request is drawn in: one pass of the sampler, or a second, larger one behind it; and what each draws on. */

import { type SamplingPlan, scheduleFromConfig } from '../samplers/schedules/fromConfig'
import type { HostLatent } from '../tensor/latent'
import type { Canvas } from './canvas'
import { countEvaluations } from './denoise'
import type { GenerateRequest } from './generateOptions'
import { enlargeLatent, enlargePicture, hiresSize } from './hires'
import { type Encoded, latentCanvas, pictureCanvas } from './imageToImage'
import { maskedCanvas, withoutMasked } from './inpaint'
import type { InitInput, RequestInputs } from './inputs'
import { decoderInput, type LatentSize } from './latents'
import type { PipelineModel } from './model'
import type { FloatPicture } from './picture'
import type { HiresRequest } from './pictureOptions'
import { cellsOf, drawnSize, type PixelSize } from './sizes'
import { emptyCanvas } from './textToImage'
import type { Tiling } from './tiling'

/** One run of the sampler for every picture. */
export interface Pass {
  /** That is drawn. */
  readonly size: PixelSize
  readonly plan: SamplingPlan
  /** Of the denoiser. */
  readonly evaluations: number
  /** @param before - latents of the pass before. */
  canvas(before: readonly HostLatent[], signal: AbortSignal): Promise<Canvas>
}

/** The passes of a request and the tiles of its autoencoder. */
export interface Passes {
  readonly first: Pass
  readonly second: Pass | undefined
  /** Of the finished latents. */
  readonly size: PixelSize
  readonly tiling: Tiling | undefined
}

/** Plans a request; a picture to start from is encoded here, once for all that start from it. */
export async function planPasses(
  model: PipelineModel,
  request: GenerateRequest,
  inputs: RequestInputs,
  signal: AbortSignal,
): Promise<Passes> {
  const { init } = inputs
  const { hires } = request
  const drawn = drawnSize(inputs.size, model.sizes)
  const size = hires ? hiresSize(drawn, hires.scale, model) : drawn
  const tiling = await model.codec.tiling(request.tiling, size, signal)
  const plan = planOf(model, request, request.steps, init?.strength)
  const canvas = init ? await initCanvas(model, init, tiling, signal) : emptyCanvas
  const first: Pass = { size: drawn, plan, evaluations: countEvaluations(plan), canvas: async () => canvas }
  return { first, second: hires && secondPass(model, request, hires, { drawn, size, tiling }), size, tiling }
}

function planOf(model: PipelineModel, request: GenerateRequest, steps: number, strength?: number): SamplingPlan {
  const { sampler, schedule, samplerOptions } = request
  return scheduleFromConfig(model.schedulerConfig, steps, {
    sampler,
    schedule,
    ...(samplerOptions ? { samplerOptions } : {}),
    ...(strength ? { strength } : {}),
  })
}

/** Encodes the start, and for models that read it what is around the mask. */
async function initCanvas(
  model: PipelineModel,
  { picture, mask, strength }: InitInput,
  tiling: Tiling | undefined,
  signal: AbortSignal,
): Promise<Canvas> {
  if (mask === undefined) return pictureCanvas(await encode(model, picture, tiling, signal))
  const init = await encode(model, picture, tiling, signal)
  const around = model.abilities.readsMask
    ? await encode(model, withoutMasked(picture, mask), tiling, signal)
    : undefined
  return maskedCanvas({ init, mask, size: picture, around, strength })
}

async function encode(
  model: PipelineModel,
  picture: FloatPicture,
  tiling: Tiling | undefined,
  signal: AbortSignal,
): Promise<Encoded> {
  const [output = new Float32Array(0)] = (await model.codec.encode?.([picture], tiling, signal)) ?? []
  return { output, size: latentSize(model, picture), scaling: model.codec.scaling }
}

function latentSize({ latentChannels, pixelsPerCell }: PipelineModel, size: PixelSize): LatentSize {
  return { channels: latentChannels, ...cellsOf(size, pixelsPerCell) }
}

/** The larger pass: on enlarged latents, or on enlarged pictures encoded again. */
function secondPass(
  model: PipelineModel,
  request: GenerateRequest,
  { steps, strength, enlarge }: HiresRequest,
  { drawn, size, tiling }: { readonly drawn: PixelSize; readonly size: PixelSize; readonly tiling: Tiling | undefined },
): Pass {
  const { codec } = model
  const plan = planOf(model, request, steps, strength)
  const cells = cellsOf(size, model.pixelsPerCell)
  return {
    size,
    plan,
    evaluations: countEvaluations(plan),
    async canvas(before, signal) {
      if (enlarge === 'latent') return latentCanvas(before.map((latent) => enlargeLatent(latent, cells)))
      const inputs = before.map((latent) => decoderInput(latent, codec.scaling))
      const larger: Canvas[] = []
      for (const picture of await codec.decode(inputs, drawn, tiling, signal)) {
        larger.push(
          pictureCanvas(await encode(model, await enlargePicture(model, picture, size, signal), tiling, signal)),
        )
      }
      return canvasOfEach(larger)
    },
  }
}

/** A canvas of its own for every picture. */
function canvasOfEach(canvases: readonly Canvas[]): Canvas {
  return {
    draws: canvases[0]?.draws ?? ['initial'],
    begin: (noise, plan, index) => (canvases[index] ?? emptyCanvas).begin(noise, plan, index),
  }
}
