/**
 * Denoising of all pictures of a request together: every picture has its own sampler, and at each level one run of the
 * network answers all of them, with and without the prompt.
 */

import { performance } from 'node:perf_hooks'
import { throwIfAborted } from '../errors'
import { type SamplerRun, startSampler } from '../samplers/drive'
import { applyGuidance, type Guidance, guidanceScaleAt } from '../samplers/guidance'
import type { Level } from '../samplers/level'
import type { RequestNoise } from '../samplers/noise'
import type { SamplerRequest } from '../samplers/sampler'
import type { SamplingPlan } from '../samplers/schedules/fromConfig'
import { asHost, type HostLatent, hostLatent } from '../tensor/latent'
import type { TextState } from './conditioning'
import { initialLatent } from './latents'
import { mapInTurns } from './turns'

/** One evaluation of the denoiser. */
export interface DenoiserRow {
  /** Shape [h, w, C]. */
  readonly latent: Float32Array
  readonly level: Level
  readonly text: TextState
}

/** Runs the denoiser on rows; gives its output for each, shape [h, w, C]. */
export type Denoiser = (rows: readonly DenoiserRow[], signal: AbortSignal) => Promise<readonly Float32Array[]>

/** What is to be denoised. */
export interface DenoiseTask {
  readonly plan: SamplingPlan
  readonly guidance: Guidance
  readonly cond: TextState
  readonly uncond: TextState
  /** One per picture. */
  readonly noises: readonly RequestNoise[]
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

/**
 * Runs the samplers to their ends.
 *
 * @returns the latents, one per picture.
 * @throws AbortError when the signal fires.
 */
export async function denoise(denoiser: Denoiser, task: DenoiseTask): Promise<HostLatent[]> {
  const { plan, noises, signal } = task
  const runs = await mapInTurns(noises, (noise) =>
    startSampler(plan.sampler, initialLatent(noise, plan.initialScale), plan.schedule, noise.between),
  )
  const of = countEvaluations(plan)
  let steps = 0
  for (let evaluation = 1; ; evaluation++) {
    throwIfAborted(signal)
    const waiting = runs.flatMap((run) => (run.request === undefined ? [] : [{ run, request: run.request }]))
    if (waiting.length === 0) return runs.map(finalLatent)
    const started = performance.now()
    const { estimates, rows } = await estimate(
      denoiser,
      task,
      waiting.map(({ request }) => request),
    )
    const durationMs = performance.now() - started
    await mapInTurns(waiting, ({ run, request }, i) => {
      const x0 = estimates[i]
      if (x0 !== undefined) run.resume({ x: request.x, ...x0 })
    })
    const step = runs.every(({ request }) => request?.inner === undefined) ? ++steps : undefined
    await task.onEvaluation({ evaluation, of, step, rows, durationMs, estimates: estimates.map(({ x0 }) => x0) })
  }
}

/** x0 of every request, guidance included; rows without the prompt are run only where they count. */
async function estimate(denoiser: Denoiser, task: DenoiseTask, requests: readonly SamplerRequest[]) {
  const { plan, guidance, cond, uncond, signal } = task
  const rows = requests.flatMap(({ x, level }) => {
    const { data: latent } = asHost(plan.prediction.input(x, level))
    const prompted = { latent, level, text: cond }
    return guidanceScaleAt(guidance, level) === 1 ? [prompted] : [{ latent, level, text: uncond }, prompted]
  })
  const outputs = await denoiser(rows, signal)
  let next = 0
  const take = (shape: readonly number[]) => hostLatent(outputs[next++] ?? new Float32Array(), shape)
  const estimates = await mapInTurns(requests, ({ x: opaque, level }) => {
    const x = asHost(opaque)
    if (guidanceScaleAt(guidance, level) === 1) return { x0: plan.prediction.toX0(take(x.shape), x, level) }
    const without = take(x.shape)
    const guided = applyGuidance(without, take(x.shape), guidance, level)
    return { x0: plan.prediction.toX0(guided, x, level), uncond: plan.prediction.toX0(without, x, level) }
  })
  return { estimates, rows: rows.length }
}

/** How often a sampler asks, found by running it on one number. */
function countEvaluations({ sampler, schedule }: SamplingPlan): number {
  const zero = hostLatent(new Float32Array(1))
  const run = startSampler(sampler, zero, schedule, () => zero)
  let count = 0
  for (; run.request !== undefined; count++) run.resume({ x: run.request.x, x0: zero, uncond: zero })
  return count
}

function finalLatent(run: SamplerRun): HostLatent {
  return asHost(run.result ?? hostLatent(new Float32Array()))
}
