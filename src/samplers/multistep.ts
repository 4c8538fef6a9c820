/** Of which order a step of a multistep solver is: the rules of the DPM-Solver++ authors' code and of diffusers. */

import type { Schedule } from './schedule'

/** What lowers the order of the last steps. */
export interface OrderRule {
  readonly order: number
  /** With fewer than 15 steps the last is of order 1 and the one before of order 2 at most, for stability. */
  readonly lowerOrderFinal: boolean
  /** The last step is of order 1 always. */
  readonly eulerAtFinal?: boolean
}

const FEW_STEPS = 15

/**
 * The highest order of step `index` (from 0) of those that are run; the one to clean data is of order 1, whose limit
 * alone exists there.
 */
export function orderOf(
  schedule: Schedule,
  index: number,
  { order, lowerOrderFinal, eulerAtFinal }: OrderRule,
): number {
  const steps = schedule.steps()
  const left = steps.length - index
  const lowered = lowerOrderFinal && schedule.levels.length - 1 < FEW_STEPS
  if (left === 1 && (lowered || eulerAtFinal || steps[index]?.[1].sigma === 0)) return 1
  return left === 2 && lowered ? Math.min(order, 2) : order
}
