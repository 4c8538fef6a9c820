/** The samplers by name, and the names other software knows them by. */

import { EngineError } from '../errors'
import { suggest } from '../text/editDistance'
import { ddim } from './ddim'
import { ddpm } from './ddpm'
import { deis } from './deis'
import { dpm2 } from './dpm2'
import { dpm2Ancestral } from './dpm2Ancestral'
import { dpmpp2m } from './dpmpp2m'
import { dpmpp2mSde } from './dpmpp2mSde'
import { dpmpp2s } from './dpmpp2s'
import { dpmpp3m } from './dpmpp3m'
import { dpmpp3mSde } from './dpmpp3mSde'
import { dpmppSde } from './dpmppSde'
import { euler } from './euler'
import { eulerAncestral } from './eulerAncestral'
import { eulerAncestralCfgpp } from './eulerAncestralCfgpp'
import { eulerCfgpp } from './eulerCfgpp'
import { heun } from './heun'
import { lcm } from './lcm'
import { lms } from './lms'
import { pndm } from './pndm'
import type { Sampler } from './sampler'
import { normaliseName, SCHEDULE_NAMES, type ScheduleName, spellings } from './scheduleNames'
import { tcd } from './tcd'
import { unipc } from './unipc'

type SamplerOptions = Readonly<Record<string, unknown>>

/** A sampler, its other names as {@link normaliseName} compares them, and names that imply options. */
interface SamplerEntry {
  readonly create: (options: Readonly<Record<string, never>>) => Sampler
  readonly aliases: readonly string[]
  readonly presets?: Readonly<Record<string, SamplerOptions>>
  /** Whether it needs the estimate without the prompt at every step, whatever the guidance scale. */
  readonly usesUncond?: true
}

const SAMPLERS = {
  euler: {
    create: euler,
    aliases: ['EulerDiscreteScheduler', 'FlowMatchEulerDiscreteScheduler', 'EDMEulerScheduler', 'edm_euler'],
  },
  eulerAncestral: { create: eulerAncestral, aliases: ['euler_a', 'EulerAncestralDiscreteScheduler'] },
  eulerCfgpp: { create: eulerCfgpp, aliases: ['euler_cfg_pp', 'ddim_cfg++'], usesUncond: true },
  eulerAncestralCfgpp: {
    create: eulerAncestralCfgpp,
    aliases: ['euler_ancestral_cfg_pp', 'euler_a_cfg++'],
    usesUncond: true,
  },
  heun: { create: heun, aliases: ['edm', 'edm_heun', 'HeunDiscreteScheduler', 'FlowMatchHeunDiscreteScheduler'] },
  dpm2: { create: dpm2, aliases: ['dpm_2', 'KDPM2DiscreteScheduler'] },
  dpm2Ancestral: { create: dpm2Ancestral, aliases: ['dpm_2_a', 'dpm_2_ancestral', 'KDPM2AncestralDiscreteScheduler'] },
  lms: { create: lms, aliases: ['LMSDiscreteScheduler'] },
  ddim: { create: ddim, aliases: ['DDIMScheduler'] },
  ddpm: { create: ddpm, aliases: ['DDPMScheduler'] },
  pndm: { create: pndm, aliases: ['plms', 'PNDMScheduler'] },
  dpmpp2m: {
    create: dpmpp2m,
    aliases: ['dpm_solver++', 'DPMSolverMultistepScheduler', 'EDMDPMSolverMultistepScheduler'],
    presets: { 'DPM++ 2M Heun': { solverType: 'heun' } },
  },
  dpmpp2mSde: {
    create: dpmpp2mSde,
    aliases: ['sde_dpm_solver++', 'dpmpp_2m_sde_gpu'],
    presets: {
      'DPM++ 2M SDE Heun': { solverType: 'heun' },
      dpmpp_2m_sde_heun_gpu: { solverType: 'heun' },
    },
  },
  dpmpp3m: { create: dpmpp3m, aliases: [] },
  dpmpp3mSde: { create: dpmpp3mSde, aliases: ['dpmpp_3m_sde_gpu'] },
  dpmpp2s: { create: dpmpp2s, aliases: ['DPMSolverSinglestepScheduler'] },
  dpmppSde: { create: dpmppSde, aliases: ['dpmpp_sde_gpu', 'DPMSolverSDEScheduler'] },
  unipc: {
    create: unipc,
    aliases: ['UniPCMultistepScheduler'],
    presets: { uni_pc_bh1: { solverType: 'bh1' }, uni_pc_bh2: { solverType: 'bh2' } },
  },
  deis: { create: deis, aliases: ['DEISMultistepScheduler'] },
  lcm: { create: lcm, aliases: ['LCMScheduler', 'FlowMatchLCMScheduler'] },
  tcd: { create: tcd, aliases: ['TCDScheduler'] },
} as const satisfies Record<string, SamplerEntry>

/** Name of a sampler. */
export type SamplerName = keyof typeof SAMPLERS

/** Every sampler there is. */
export const SAMPLER_NAMES = Object.keys(SAMPLERS) as readonly SamplerName[] // the keys are the literals above

/** What a name stands for. */
export interface FoundSampler {
  readonly name: SamplerName
  /** Names such as `DPM++ 2M Karras` name a schedule as well. */
  readonly schedule?: ScheduleName
  /** Names such as `DPM++ 2M SDE Heun` name options as well. */
  readonly options?: SamplerOptions
}

const entryOf = (name: SamplerName): SamplerEntry => SAMPLERS[name]

/** Every spelling, normalised, and what it stands for. */
const FOUND: ReadonlyMap<string, FoundSampler> = new Map(
  SAMPLER_NAMES.flatMap((name) => [
    ...[name, ...entryOf(name).aliases].map((alias) => [normaliseName(alias), { name }] as const),
    ...Object.entries(entryOf(name).presets ?? {}).map(
      ([alias, options]) => [normaliseName(alias), { name, options }] as const,
    ),
  ]),
)

/** Every spelling of a schedule, normalised, the longest first so that none is taken for the end of another. */
const SUFFIXES = SCHEDULE_NAMES.flatMap((schedule) => spellings(schedule).map((suffix) => ({ suffix, schedule }))).sort(
  (a, b) => b.suffix.length - a.suffix.length,
)

/**
 * Finds a sampler by its name here, in diffusers, A1111 or ComfyUI; the name of a schedule may follow. Case, spaces, `-`
 * and `_` do not matter, `++` may be written `pp`, and `k_` or `sample_` may stand before it.
 *
 * @throws {@link EngineError} `unknown-sampler` when there is none.
 */
export function findSampler(name: string): FoundSampler {
  const wanted = normaliseName(String(name))
  const whole = FOUND.get(wanted)
  if (whole !== undefined) return whole
  for (const { suffix, schedule } of SUFFIXES) {
    const stem = wanted.endsWith(suffix) ? FOUND.get(wanted.slice(0, -suffix.length)) : undefined
    if (stem !== undefined) return { ...stem, schedule }
  }
  const meant = suggest(wanted, [...FOUND.keys()])
  const hint = meant === undefined ? '' : `; did you mean ${FOUND.get(meant)?.name}?`
  const message = `sampler: expected one of ${SAMPLER_NAMES.join(', ')}, got ${name}${hint}`
  throw new EngineError('unknown-sampler', message, { name, expected: SAMPLER_NAMES })
}

/**
 * Makes a sampler.
 *
 * @param name - any name {@link findSampler} knows.
 * @param options - of that sampler; they come before those the name implies.
 * @throws {@link EngineError} `unknown-sampler`; `unknown-option` or `invalid-option` when an option is wrong.
 */
export function createSampler(name: string, options: SamplerOptions = {}): Sampler {
  const found = findSampler(name)
  const given = { ...found.options, ...options }
  return entryOf(found.name).create(given as Readonly<Record<string, never>>) // every factory checks each option's type
}

/** Whether a sampler needs the estimate without the prompt at every step, also where the guidance scale is 1. */
export function usesUncond(name: SamplerName): boolean {
  return entryOf(name).usesUncond === true
}
