/**
 * schedule: completes every step's attributes with its reduction schedule and puts them in encoding order.
 *
 * The order in which sums are formed decides a result's bits, so it is fixed here, from one row's shape and the device's
 * capabilities alone; batch and threads never enter. Splitting a long K or blocking it for a device is decided here.
 */

import { EngineError } from '../../errors'
import type { Capabilities } from '../capabilities'
import type { Draft, DraftStep } from '../draft'
import { KERNELS } from '../kernels'
import { columnsOf, vectorsOf } from '../place'
import type { Step } from '../program'

/** Pixels whose sums are formed in one go in group_norm: keeps float32 partial sums short. */
const STATISTICS_BLOCK = 256

/** A draft whose steps are complete. */
export type Scheduled = Omit<Draft, 'steps'> & { readonly steps: readonly Step[] }

/** Fills `splits`, `kBlock`, `keyBlock` and `rowBlock`. */
export function schedule(draft: Draft, capabilities: Capabilities): Scheduled {
  return {
    ...draft,
    steps: draft.steps.map((step) => ({ ...step, attrs: ordered(step, reduction(draft, step, capabilities)) })),
  }
}

/** Attributes of the reduction of one step. */
function reduction(draft: Draft, step: DraftStep, capabilities: Capabilities): Readonly<Record<string, number>> {
  const shapeOf = (operand: number) => draft.buffers[step.operands[operand] ?? -1]?.shape ?? []
  switch (step.kernel) {
    case 'matmul':
    case 'conv2d':
      return { splits: 1, kBlock: columnsOf(shapeOf(1)) } // one sum over all of K
    case 'attention':
      return { keyBlock: capabilities.attentionKeyBlock }
    case 'group_norm':
      return { rowBlock: Math.min(vectorsOf(shapeOf(0)), STATISTICS_BLOCK) }
    default:
      return {}
  }
}

/** Attributes in the order of {@link KERNELS}. */
function ordered(step: DraftStep, reduction: Readonly<Record<string, number>>): number[] {
  const attrs: Readonly<Record<string, number | readonly number[]>> = { ...step.attrs, ...reduction }
  return KERNELS[step.kernel].attrs.flatMap((name) => {
    const attr = attrs[name.replace('...', '')]
    if (attr === undefined)
      throw new EngineError('internal', `${step.kernel}(${step.at}): expected attribute ${name}, got none`)
    return attr
  })
}
