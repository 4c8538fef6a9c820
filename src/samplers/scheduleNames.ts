/** The placings of levels by name, and the names other software knows them by. */

import { suggest } from '../text/editDistance'
import { invalidOption } from '../text/givenOptions'

/**
 * How the levels are placed.
 *
 * `leading`, `trailing`, `linspace`: whole timesteps, see `schedules/spaced.ts`. `normal`, `sgmUniform`, `simple`, `beta`,
 * `ddimUniform`: timesteps as ComfyUI places them, see `schedules/tablePlacings.ts`. `karras`, `exponential`,
 * `betaSigmas`: noise ratios along a curve. `ays`, `aysSdxl`: Align Your Steps for Stable Diffusion 1.5 and XL.
 */
export type ScheduleName = keyof typeof SCHEDULES

/** Names elsewhere, compared without case, spaces, `-` and `_`. */
const SCHEDULES = {
  leading: [],
  trailing: [],
  linspace: [],
  karras: ['use_karras_sigmas'],
  exponential: ['use_exponential_sigmas', 'use_lu_lambdas', 'lu_lambdas'],
  betaSigmas: ['use_beta_sigmas'],
  beta: [],
  normal: ['uniform'],
  simple: [],
  sgmUniform: [],
  ddimUniform: ['ddim'],
  ays: ['align_your_steps', 'ays_sd15', 'ays_sd1', 'StableDiffusionTimesteps'],
  aysSdxl: ['align_your_steps_sdxl', 'StableDiffusionXLTimesteps'],
} as const satisfies Record<string, readonly string[]>

/** Every {@link ScheduleName}. */
export const SCHEDULE_NAMES = Object.keys(SCHEDULES) as readonly ScheduleName[] // the keys are the literals above

/**
 * Finds a placing by its name here, in diffusers, A1111 or ComfyUI. Case, spaces, `-` and `_` do not matter.
 *
 * @throws {@link EngineError} `invalid-option` when there is none.
 */
export function findSchedule(name: string): ScheduleName {
  const found = SCHEDULE_NAMES.find((known) => spellings(known).includes(normaliseName(String(name))))
  if (found !== undefined) return found
  const meant = suggest(String(name), SCHEDULE_NAMES)
  throw invalidOption(
    'schedule',
    `one of ${SCHEDULE_NAMES.join(', ')}`,
    meant === undefined ? name : `${name} (${meant}?)`,
  )
}

/** Every way to write a placing, normalised. */
export function spellings(name: ScheduleName): readonly string[] {
  return [name, ...SCHEDULES[name]].map(normaliseName)
}

/** A name as names are compared: lower case without spaces, `-` and `_`; `++` is `pp`; k-diffusion's prefixes go. */
export function normaliseName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^(sample|k)[\s_-]/, '')
    .replaceAll('+', 'p')
    .replace(/[\s_-]/g, '')
}
