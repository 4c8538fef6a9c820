/**
 * Flow schedules: x = (1 - s) x0 + s noise, s from 1 to 0, bent towards noise by a shift.
 *
 * Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023, arXiv:2209.03003; the shift is eq. 23 of Esser et al. 2024,
 * arXiv:2403.03206.
 */

import { flowLevel, type Level } from '../level'
import { makeSchedule, type Schedule } from '../schedule'

/** s' = k s / (1 + (k - 1) s): the share of noise at k^2 times the pixels. Ends stay, the middle rises for k > 1. */
export function shiftFlow(s: number, k: number): number {
  return (k * s) / (1 + (k - 1) * s)
}

/** Scales 1 - s so that the last value becomes `terminal`. */
export function stretchToTerminal(sigmas: readonly number[], terminal: number): number[] {
  const scale = (1 - (sigmas[sigmas.length - 1] ?? 0)) / (1 - terminal)
  return sigmas.map((s) => 1 - (1 - s) / scale)
}

/**
 * n values of s as diffusers' FlowMatchEulerDiscreteScheduler places them, before its last shift: equally spaced between
 * the ends of a table of T values i / T that is itself shifted. (The shift thus acts twice on the lower end.)
 *
 * @param tableShift - shift of the table; 1 for none.
 */
export function tableFlowSigmas(T: number, n: number, tableShift: number): number[] {
  return evenly(1, shiftFlow(1 / T, tableShift), n)
}

/** n values of s as diffusers' multistep solvers place them: n + 1 points from 1 - 1 / T to 0, shifted, 0 left out. */
export function multistepFlowSigmas(T: number, n: number, shift: number): number[] {
  return evenly(1 - 1 / T, 0, n + 1)
    .slice(0, -1)
    .map((s) => shiftFlow(s, shift))
}

/** n values of s as diffusers' UniPC places them, before its shift: n + 1 points from 1 to 1 / T, the last left out. */
export function unipcFlowSigmas(T: number, n: number): number[] {
  return evenly(1, 1 / T, n + 1).slice(0, -1)
}

/**
 * The schedule of given noise shares.
 *
 * @param sigmas - s, falling, the first at most 1.
 * @param T - what the network's time is at s = 1.
 * @param whole - whether the network is told whole timesteps (cut, not rounded).
 * @param end - s of the last level, which is appended.
 */
export function flowSchedule(sigmas: readonly number[], T: number, whole: boolean, end = 0): Schedule {
  const time = (s: number) => (whole ? Math.trunc(s * T) : s * T)
  const levels: Level[] = sigmas.map((s) => flowLevel(s, time(s)))
  return makeSchedule('flow', [...levels, flowLevel(end, time(end))], {
    at(lambda) {
      const s = 1 / (1 + Math.exp(lambda))
      return { alpha: 1 / (1 + Math.exp(-lambda)), sigma: s, t: s * T }
    },
    atShare: ({ alpha, sigma }, share) => {
      const s = (share * sigma) / (alpha + sigma)
      return flowLevel(s, s * T)
    },
  })
}

function evenly(from: number, to: number, n: number): number[] {
  return Array.from({ length: n }, (_, i) => from + (n === 1 ? 0 : (i / (n - 1)) * (to - from)))
}
