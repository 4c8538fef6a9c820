/** Curves through noise ratios, by name: n values between two ends, whatever the timesteps. */

import { betaSigmas } from './betaSigmas'
import { exponential } from './exponential'
import { karras } from './karras'

/** The curves. `lambda`, uniform in lambda (Lu et al. 2022, arXiv:2211.01095), is the exponential one. */
export const CURVES = { karras, exponential, betaSigmas, lambda: exponential } as const satisfies Record<
  string,
  (max: number, min: number, n: number) => readonly number[]
>

/** Name of one of the {@link CURVES}. */
export type CurveName = keyof typeof CURVES

/** Whether it is one. */
export function isCurve(name: string | undefined): name is CurveName {
  return name !== undefined && Object.hasOwn(CURVES, name)
}
