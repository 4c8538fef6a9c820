/** How a picture was made, from the request that made it. */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Provenance } from '../images/metadata'
import type { SamplingPlan } from '../samplers/schedules/fromConfig'
import type { GenerateRequest } from './generateOptions'
import type { TextToImageModel } from './model'

let version: string | undefined

/** The version of this package. */
export function packageVersion(): string {
  version ??= readVersion(path.join(__dirname, '..', '..', 'package.json'))
  return version
}

function readVersion(file: string): string {
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string } // our own file
  return version
}

/** The provenance of picture `index`, or `undefined` when metadata is switched off. */
export function provenanceOf(
  model: TextToImageModel,
  request: GenerateRequest,
  plan: SamplingPlan,
  index: number,
): Provenance | undefined {
  if (request.metadata === 'none') return undefined
  const { negativePrompt } = request
  const prompts = { prompt: request.prompt, ...(negativePrompt === '' ? {} : { negativePrompt }) }
  return {
    software: 'irodori',
    version: packageVersion(),
    model: { name: model.name, hash: model.hash },
    seed: exactSeed(request.seed + BigInt(index)),
    rng: request.rng,
    sampler: plan.samplerName,
    ...(plan.scheduleName === undefined ? {} : { schedule: plan.scheduleName }),
    steps: request.steps,
    guidance: request.guidance,
    width: request.size,
    height: request.size,
    device: model.device,
    dtype: model.dtype,
    ...(request.metadata === 'settings and prompts' ? prompts : {}),
  }
}

/** A seed as JSON can hold it. */
function exactSeed(seed: bigint): number | string {
  return seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : String(seed)
}

/** A seed as callers get it: a bigint only where a number would not be exact. */
export function seedNumber(seed: bigint): number | bigint {
  return seed <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seed) : seed
}
