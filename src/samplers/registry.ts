/** The samplers by name, and the names other software knows them by. */

import { EngineError } from '../errors'
import { ddim } from './ddim'
import { dpmpp2m } from './dpmpp2m'
import { euler } from './euler'
import { eulerAncestral } from './eulerAncestral'
import { heun } from './heun'
import { lcm } from './lcm'
import type { Sampler } from './sampler'

/** A sampler and its other names, compared without case, spaces, `-` and `_`. */
interface SamplerEntry {
  readonly create: (options: Readonly<Record<string, never>>) => Sampler
  readonly aliases: readonly string[]
}

const SAMPLERS = {
  euler: {
    create: euler,
    aliases: ['k_euler', 'sample_euler', 'EulerDiscreteScheduler', 'FlowMatchEulerDiscreteScheduler'],
  },
  eulerAncestral: {
    create: eulerAncestral,
    aliases: ['euler_a', 'k_euler_a', 'k_euler_ancestral', 'sample_euler_ancestral', 'EulerAncestralDiscreteScheduler'],
  },
  heun: {
    create: heun,
    aliases: ['k_heun', 'sample_heun', 'HeunDiscreteScheduler', 'FlowMatchHeunDiscreteScheduler'],
  },
  ddim: { create: ddim, aliases: ['DDIMScheduler'] },
  dpmpp2m: {
    create: dpmpp2m,
    aliases: ['DPM++ 2M', 'dpmpp_2m', 'k_dpmpp_2m', 'sample_dpmpp_2m', 'DPM-Solver++', 'DPMSolverMultistepScheduler'],
  },
  lcm: { create: lcm, aliases: ['LCMScheduler'] },
} as const satisfies Record<string, SamplerEntry>

/** Name of a sampler. */
export type SamplerName = keyof typeof SAMPLERS

/** Every sampler there is. */
export const SAMPLER_NAMES = Object.keys(SAMPLERS) as readonly SamplerName[] // the keys are the literals above

/** What a name stands for. Names such as `DPM++ 2M Karras` name a schedule as well. */
export interface FoundSampler {
  readonly name: SamplerName
  readonly schedule?: 'karras' | 'exponential'
}

/**
 * Finds a sampler by its name here, in diffusers, A1111 or ComfyUI. Case, spaces, `-` and `_` do not matter.
 *
 * @throws {@link EngineError} `unknown-sampler` when there is none.
 */
export function findSampler(name: string): FoundSampler {
  const [, stem = '', schedule] = /^(.*?)(karras|exponential)?$/.exec(normalise(String(name))) ?? []
  const found = SAMPLER_NAMES.find((known) =>
    [known, ...SAMPLERS[known].aliases].some((alias) => normalise(alias) === stem),
  )
  if (found === undefined) {
    throw new EngineError('unknown-sampler', `sampler: expected one of ${SAMPLER_NAMES.join(', ')}, got ${name}`, {
      name,
    })
  }
  return schedule === 'karras' || schedule === 'exponential' ? { name: found, schedule } : { name: found }
}

/**
 * Makes a sampler.
 *
 * @param name - any name {@link findSampler} knows.
 * @param options - of that sampler.
 * @throws {@link EngineError} `unknown-sampler`; `unknown-option` or `invalid-option` when an option is wrong.
 */
export function createSampler(name: string, options: Readonly<Record<string, unknown>> = {}): Sampler {
  const create: SamplerEntry['create'] = SAMPLERS[findSampler(name).name].create
  return create(options as Readonly<Record<string, never>>) // every factory checks each option's type itself
}

function normalise(name: string): string {
  return name.toLowerCase().replace(/[\s_-]/g, '')
}
