/**
 * Denoising of all pictures of a request together: every picture has its own sampler, and at each level one run of the
 * network answers all of them, with and without the prompt.
 */

import { performance } from 'node:perf_hooks'
import { throwIfAborted } from '../errors'
import { type SamplerRun, startSampler } from '../samplers/drive'
import { applyGuidance, type Guidance, guidanceScaleAt } from '../samplers/guidance'
import type { Level } from '../samplers/level'
import type { Noise } from '../samplers/sampler'
import type { SamplingPlan } from '../samplers/schedules/fromConfig'
import { asHost, type HostLatent, hostLatent } from '../tensor/latent'
import type { TextState } from './conditioning'
import type { FloatPicture } from './picture'
import { mapInTurns } from './turns'

/** What a ControlNet says at an evaluation. */
export interface ControlHint {
  /** Which of the loaded ones. */
  readonly net: number
  /** At the size that is drawn. */
  readonly picture: FloatPicture
  readonly scale: number
}

/** One evaluation of the denoiser. */
export interface DenoiserRow {
  /** Shape [h, w, C]. */
  readonly latent: Float32Array
  readonly level: Level
  readonly text: TextState
  /** Further channels of the network's input, for inpainting models. Shape [h, w, C']. */
  readonly beside?: Float32Array
  /** What ControlNets say at this evaluation; none outside their intervals. */
  readonly controls?: readonly ControlHint[]
}

/** Runs the denoiser on rows; gives its output for each, shape [h, w, C]. */
export type Denoiser = (rows: readonly DenoiserRow[], signal: AbortSignal) => Promise<readonly Float32Array[]>

/** One picture to denoise. */
export interface DenoisePicture {
  readonly cond: TextState
  readonly uncond: TextState
  /** Where its run starts: the latent at the schedule's first level. */
  readonly start: HostLatent
  readonly noise: Noise
  /** What becomes of the latent before the network sees it, at every level but the first, and of the last latent. */
  readonly edit?: (x: HostLatent, level: Level) => HostLatent
  readonly beside?: Float32Array
}

/** What is to be denoised. */
export interface DenoiseTask {
  readonly plan: SamplingPlan
  readonly guidance: Guidance
  readonly pictures: readonly DenoisePicture[]
  /** ControlNets at work, by how much of the run is done: evaluation `index` of `of`. */
  readonly controlsAt?: (index: number, of: number) => readonly ControlHint[]
  readonly signal: AbortSignal
  /** Called after each evaluation with the pictures' estimates of the data. */
  readonly onEvaluation: (done: Evaluation) => void | Promise<void>
}

export interface Evaluation {
  /** From 1. */
  readonly evaluation: number
  readonly of: number
  /** The step it ended, from 1; `undefined` where the step goes on. */
  readonly step: number | undefined
  readonly rows: number
  readonly durationMs: number
  /** One per picture. */
  readonly estimates: readonly HostLatent[]
}

/** A picture whose sampler waits for an answer. */
interface Waiting {
  readonly picture: DenoisePicture
  readonly run: SamplerRun
  readonly x: HostLatent
  readonly level: Level
}

/**
 * Runs the samplers to their ends.
 *
 * @returns the latents, one per picture.
 * @throws AbortError when the signal fires.
 */
export async function denoise(denoiser: Denoiser, task: DenoiseTask): Promise<HostLatent[]> {
  const { plan, pictures, signal } = task
  const runs = await mapInTurns(pictures, (picture) => ({
    picture,
    run: startSampler(plan.sampler, picture.start, plan.schedule, picture.noise),
  }))
  const of = countEvaluations(plan)
  let steps = 0
  for (let evaluation = 1; ; evaluation++) {
    throwIfAborted(signal)
    const waiting = await mapInTurns(runs, ({ picture, run }) => waitingFor(picture, run, evaluation > 1))
    const open = waiting.filter((one) => one !== undefined)
    if (open.length === 0) return runs.map(({ picture, run }) => finalLatent(picture, run, plan))
    const controls = task.controlsAt?.(evaluation - 1, of) ?? []
    const started = performance.now()
    const { estimates, rows } = await estimate(denoiser, task, open, controls)
    const durationMs = performance.now() - started
    await mapInTurns(open, ({ run, x }, i) => {
      const x0 = estimates[i]
      if (x0 !== undefined) run.resume({ x, ...x0 })
    })
    const step = runs.every(({ run }) => run.request?.inner === undefined) ? ++steps : undefined
    await task.onEvaluation({ evaluation, of, step, rows, durationMs, estimates: estimates.map(({ x0 }) => x0) })
  }
}

function waitingFor(picture: DenoisePicture, run: SamplerRun, edited: boolean): Waiting | undefined {
  const { request } = run
  if (request === undefined) return undefined
  const { level } = request
  const x = asHost(request.x)
  return { picture, run, level, x: edited && picture.edit ? picture.edit(x, level) : x }
}

/** x0 of every request, guidance included; rows without the prompt are run only where they count. */
async function estimate(
  denoiser: Denoiser,
  { plan, guidance, signal }: DenoiseTask,
  waiting: readonly Waiting[],
  controls: readonly ControlHint[],
) {
  const rows = waiting.flatMap(({ picture: { cond, uncond, beside }, x, level }): DenoiserRow[] => {
    const { data: latent } = asHost(plan.prediction.input(x, level))
    const more = { ...(beside ? { beside } : {}), ...(controls.length > 0 ? { controls } : {}) }
    const prompted = { latent, level, text: cond, ...more }
    return readsUncond(plan, guidance, level) ? [{ latent, level, text: uncond, ...more }, prompted] : [prompted]
  })
  const outputs = await denoiser(rows, signal)
  let next = 0
  const take = (shape: readonly number[]) => hostLatent(outputs[next++] ?? new Float32Array(), shape)
  const estimates = await mapInTurns(waiting, ({ x, level }) => {
    if (!readsUncond(plan, guidance, level)) return { x0: plan.prediction.toX0(take(x.shape), x, level) }
    const without = take(x.shape)
    const guided = applyGuidance(without, take(x.shape), guidance, level)
    return { x0: plan.prediction.toX0(guided, x, level), uncond: plan.prediction.toX0(without, x, level) }
  })
  return { estimates, rows: rows.length }
}

/** Whether the row without the prompt counts: where guidance looks at it, or the sampler itself does (CFG++). */
function readsUncond({ usesUncond }: SamplingPlan, guidance: Guidance, level: Level): boolean {
  return usesUncond || guidanceScaleAt(guidance, level) !== 1
}

/** How often a sampler asks, found by running it on one number. */
export function countEvaluations({ sampler, schedule }: SamplingPlan): number {
  const zero = hostLatent(new Float32Array(1))
  const run = startSampler(sampler, zero, schedule, () => zero)
  let count = 0
  for (; run.request !== undefined; count++) run.resume({ x: run.request.x, x0: zero, uncond: zero })
  return count
}

/** The result, edited as at every level; the picture it is made of has no noise left, whatever the schedule ends with. */
function finalLatent(picture: DenoisePicture, run: SamplerRun, { schedule }: SamplingPlan): HostLatent {
  const x = asHost(run.result ?? hostLatent(new Float32Array()))
  const t = schedule.levels.at(-1)?.t ?? 0
  return picture.edit ? picture.edit(x, { alpha: 1, sigma: 0, t }) : x
}
