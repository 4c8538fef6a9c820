/** What the weights of a Stable Diffusion family do not tell: scheduler, picture size, scale of the latents, tokenizers. */

import type { JsonObject } from '../jsonFields'
import type { LatentScaling } from './vae'

/** Stable Diffusion 1.x, 2.x, XL, and the refiner of XL. */
export type ModelFamily = 'sd1' | 'sd2' | 'sdxl' | 'sdxl-refiner'

/** What a denoiser predicts: the noise, or v. */
export type PredictionType = 'epsilon' | 'v_prediction'

/** A family by what only its denoiser's config shows; `undefined` for a config of something else. */
export function familyOf(config: JsonObject): ModelFamily | undefined {
  const { _class_name: className, addition_embed_type: sizes, cross_attention_dim: text } = config
  if (className !== 'UNet2DConditionModel' && className !== 'ControlNetModel') return undefined
  if (sizes === 'text_time') return text === 1280 ? 'sdxl-refiner' : 'sdxl'
  return config.use_linear_projection === true ? 'sd2' : 'sd1'
}

/** The noise schedule that all families were trained with. */
const TRAINED = {
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  num_train_timesteps: 1000,
  steps_offset: 1,
  clip_sample: false,
  trained_betas: null,
}

/**
 * The scheduler that the family was published with.
 *
 * @param zeroTerminalSnr - whether the weights say that they were trained down to pure noise.
 */
export function publishedScheduler(
  family: ModelFamily,
  prediction: PredictionType,
  zeroTerminalSnr: boolean,
): JsonObject {
  const trained = { ...TRAINED, prediction_type: prediction }
  const snr = zeroTerminalSnr ? { rescale_betas_zero_snr: true } : {}
  if (family === 'sdxl' || family === 'sdxl-refiner') {
    return {
      _class_name: 'EulerDiscreteScheduler',
      ...trained,
      ...snr,
      interpolation_type: 'linear',
      timestep_spacing: zeroTerminalSnr ? 'trailing' : 'leading',
      use_karras_sigmas: false,
    }
  }
  if (family === 'sd2' && prediction === 'v_prediction') {
    return { _class_name: 'DDIMScheduler', ...trained, ...snr, set_alpha_to_one: false }
  }
  return { _class_name: 'PNDMScheduler', ...trained, set_alpha_to_one: false, skip_prk_steps: true }
}

/** Cells of the latent that the family was trained at last. */
export function sampleSize(family: ModelFamily, prediction: PredictionType): number {
  if (family === 'sdxl' || family === 'sdxl-refiner') return 128
  return family === 'sd2' && prediction === 'v_prediction' ? 96 : 64
}

/** How the family's latents are scaled. Autoencoders of XL overflow in f16. */
export function latentScaling(family: ModelFamily, cells: number): LatentScaling {
  const xl = family === 'sdxl' || family === 'sdxl-refiner'
  return { scaling_factor: xl ? 0.13025 : 0.18215, force_upcast: xl, sample_size: 8 * cells }
}

/** Ids that short prompts are filled up with: CLIP-L's end of text; in OpenCLIP "!", which is token 0. */
export const PAD_TOKENS = { clip: 49407, openClip: 0 } as const

/** Tokenizers of the family's encoders, by the names of their folders. */
export function tokenizersOf(family: ModelFamily): ReadonlyMap<string, 49407 | 0> {
  const { clip, openClip } = PAD_TOKENS
  switch (family) {
    case 'sd1':
      return new Map([['tokenizer', clip]])
    case 'sd2':
      return new Map([['tokenizer', openClip]])
    case 'sdxl':
      return new Map<string, 49407 | 0>([
        ['tokenizer', clip],
        ['tokenizer_2', openClip],
      ])
    case 'sdxl-refiner':
      return new Map([['tokenizer_2', openClip]])
    default:
      return family satisfies never
  }
}

/** diffusers' pipelines of a family by the channels that its denoiser reads. */
export function pipelineClass(family: ModelFamily, inChannels: unknown): string | undefined {
  if (family === 'sdxl-refiner') return inChannels === 4 ? 'StableDiffusionXLImg2ImgPipeline' : undefined
  const stem = family === 'sdxl' ? 'StableDiffusionXL' : 'StableDiffusion'
  switch (inChannels) {
    case 4:
      return `${stem}Pipeline`
    case 9:
      return `${stem}InpaintPipeline`
    case 8:
      return `${stem}InstructPix2PixPipeline`
    case 5:
      return family === 'sd2' ? 'StableDiffusionDepth2ImgPipeline' : undefined
    case 7:
      return family === 'sd2' ? 'StableDiffusionUpscalePipeline' : undefined
    default:
      return undefined
  }
}
