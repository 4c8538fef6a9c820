/** The scheduler classes of diffusers: what their configs leave out, and how they place the levels. */

import type { SamplerName } from '../registry'
import type { Spacing } from './spaced'
import type { BetaSchedule } from './trainingTable'

/**
 * How a class places its levels.
 *
 * `entries`: whole timesteps of the table. `ratios`: fractional timesteps, sigma / alpha interpolated. `multistep`:
 * n + 1 whole timesteps, the cleanest left out. `distilled`: the grid of consistency models.
 */
export type Placement = 'entries' | 'ratios' | 'multistep' | 'distilled'

/** A class for variance-preserving models. */
export interface SchedulerClass {
  readonly placement: Placement
  readonly betaStart: number
  readonly betaEnd: number
  readonly betaSchedule: BetaSchedule
  readonly spacing: Spacing
}

const HO = { betaStart: 0.0001, betaEnd: 0.02, betaSchedule: 'linear' } as const // Ho et al. 2020
const LATENT = { betaStart: 0.00085, betaEnd: 0.012 } as const // latent diffusion
const RATIOS = { placement: 'ratios', spacing: 'linspace' } as const
const MULTISTEP = { placement: 'multistep', spacing: 'linspace' } as const
const DISTILLED = { placement: 'distilled', betaSchedule: 'scaled_linear', spacing: 'leading' } as const

/** Variance-preserving classes by name. */
export const PRESERVING_CLASSES = {
  DDIMScheduler: { ...HO, placement: 'entries', spacing: 'leading' },
  DDPMScheduler: { ...HO, placement: 'entries', spacing: 'leading' },
  PNDMScheduler: { ...HO, placement: 'entries', spacing: 'leading' },
  EulerDiscreteScheduler: { ...HO, ...RATIOS },
  EulerAncestralDiscreteScheduler: { ...HO, ...RATIOS },
  HeunDiscreteScheduler: { ...LATENT, betaSchedule: 'linear', ...RATIOS },
  LMSDiscreteScheduler: { ...HO, ...RATIOS },
  KDPM2DiscreteScheduler: { ...LATENT, betaSchedule: 'linear', ...RATIOS },
  KDPM2AncestralDiscreteScheduler: { ...LATENT, betaSchedule: 'linear', ...RATIOS },
  DPMSolverSDEScheduler: { ...LATENT, betaSchedule: 'linear', ...RATIOS },
  DPMSolverMultistepScheduler: { ...HO, ...MULTISTEP },
  DPMSolverSinglestepScheduler: { ...HO, ...MULTISTEP },
  DEISMultistepScheduler: { ...HO, ...MULTISTEP },
  UniPCMultistepScheduler: { ...HO, ...MULTISTEP },
  LCMScheduler: { ...LATENT, ...DISTILLED },
  TCDScheduler: { ...LATENT, ...DISTILLED },
} as const satisfies Record<string, SchedulerClass>

/** Name of a variance-preserving class. */
export type PreservingClass = keyof typeof PRESERVING_CLASSES

/** The class whose placing goes with each sampler, when the sampler is not the config's own. */
export const HOME_CLASS: Readonly<Record<SamplerName, PreservingClass>> = {
  euler: 'EulerDiscreteScheduler',
  eulerAncestral: 'EulerAncestralDiscreteScheduler',
  eulerCfgpp: 'EulerDiscreteScheduler',
  eulerAncestralCfgpp: 'EulerAncestralDiscreteScheduler',
  heun: 'HeunDiscreteScheduler',
  dpm2: 'KDPM2DiscreteScheduler',
  dpm2Ancestral: 'KDPM2AncestralDiscreteScheduler',
  lms: 'LMSDiscreteScheduler',
  ddim: 'DDIMScheduler',
  ddpm: 'DDPMScheduler',
  pndm: 'PNDMScheduler',
  dpmpp2m: 'DPMSolverMultistepScheduler',
  dpmpp2mSde: 'DPMSolverMultistepScheduler',
  dpmpp3m: 'DPMSolverMultistepScheduler',
  dpmpp3mSde: 'DPMSolverMultistepScheduler',
  dpmpp2s: 'DPMSolverSinglestepScheduler',
  dpmppSde: 'DPMSolverSDEScheduler',
  unipc: 'UniPCMultistepScheduler',
  deis: 'DEISMultistepScheduler',
  lcm: 'LCMScheduler',
  tcd: 'TCDScheduler',
}

/** Classes for flow models; the multistep classes serve them too, with `use_flow_sigmas`. */
export const FLOW_CLASSES = [
  'FlowMatchEulerDiscreteScheduler',
  'FlowMatchHeunDiscreteScheduler',
  'FlowMatchLCMScheduler',
] as const

/** Classes for variance-exploding models. */
export const EXPLODING_CLASSES = ['EDMEulerScheduler', 'EDMDPMSolverMultistepScheduler'] as const

/** Whether a class is a variance-preserving one. */
export function isPreservingClass(name: string): name is PreservingClass {
  return Object.hasOwn(PRESERVING_CLASSES, name)
}
