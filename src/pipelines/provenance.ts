/** How a picture was made, from the request that made it. */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Provenance } from '../images/metadata'
import type { GenerateRequest } from './generateOptions'
import type { RequestInputs } from './inputs'
import type { PipelineModel } from './model'
import type { Pass } from './passes'
import type { PixelSize } from './sizes'
import type { Tiling } from './tiling'

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

/** How a picture came to the size it has. */
export interface Finished {
  readonly first: Pass
  readonly tiling: Tiling | undefined
  readonly final: PixelSize
}

/** The provenance of picture `index`, or `undefined` when metadata is switched off. */
export function provenanceOf(
  model: PipelineModel,
  request: GenerateRequest,
  inputs: RequestInputs,
  { first, tiling, final }: Finished,
  index: number,
): Provenance | undefined {
  const picture = request.pictures[index]
  if (request.metadata === 'none' || picture === undefined) return undefined
  const { guidanceRescale, guidanceInterval, samplerOptions, style, hires, upscale, transparent, text } = request
  const { samplerName, scheduleName } = first.plan
  const { prompt, negativePrompt, seed } = picture
  return {
    software: 'irodori',
    version: packageVersion(),
    model: { name: model.name, hash: model.hash },
    seed: exactSeed(seed),
    rng: request.rng,
    sampler: samplerName,
    ...(samplerOptions === undefined ? {} : { samplerOptions }),
    ...(scheduleName === undefined ? {} : { schedule: scheduleName }),
    steps: request.steps,
    guidance: request.guidance,
    ...(guidanceRescale === 0 ? {} : { guidanceRescale }),
    ...(guidanceInterval === undefined ? {} : { guidanceInterval }),
    ...(style === undefined ? {} : { style }),
    width: final.width,
    height: final.height,
    ...(hires || upscale !== 1 ? { asked: inputs.size } : {}),
    ...(model.loras.length === 0 ? {} : { loras: model.loras }),
    ...(model.inversions.length === 0 ? {} : { inversions: model.inversions }),
    ...picturesOf(model, request, inputs),
    ...(hires ? { hires } : {}),
    ...(upscale === 1 ? {} : { upscale }),
    ...(transparent ? { transparent } : {}),
    ...(tiling ? { tiling } : {}),
    device: model.device,
    dtype: model.dtype,
    ...(model.quantize === 'none' ? {} : { quantize: model.quantize }),
    ...(text.clipSkip === 0 ? {} : { clipSkip: text.clipSkip }),
    ...(text.syntax === 'plain' && model.abilities.windows ? { promptSyntax: text.syntax } : {}),
    ...(request.metadata === 'settings and prompts'
      ? { prompt, ...(negativePrompt === undefined ? {} : { negativePrompt }) }
      : {}),
  }
}

/** The pictures a request was given. */
function picturesOf(
  { controlNets }: PipelineModel,
  request: GenerateRequest,
  { init, control }: RequestInputs,
): Pick<Provenance, 'init' | 'mask' | 'control'> {
  const { mask } = request.init ?? {}
  const hints = control.map(({ net, hash, scale, interval }) => ({
    hash,
    net: controlNets[net] ?? '',
    scale,
    interval,
  }))
  return {
    ...(init ? { init: { hash: init.hash, strength: init.strength } } : {}),
    ...(init?.maskHash !== undefined && mask ? { mask: { hash: init.maskHash, blur: mask.blur } } : {}),
    ...(hints.length > 0 ? { control: hints } : {}),
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
