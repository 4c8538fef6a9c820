/** Drafts: programs before their attributes are complete and their arena is planned. */

import type { KernelName } from './kernels'
import type { BufferSpec, EpilogueOp, ParamSpec, PortSpec } from './program'

/** Offset of an arena buffer that the plan has not placed yet. */
export const UNPLANNED = -1

/** A step with attributes by name; `strided_copy` has its sizes and strides as a list. */
export interface DraftStep {
  readonly kernel: KernelName
  readonly operands: readonly (number | null)[]
  readonly output: number
  readonly attrs: Readonly<Record<string, number | readonly number[]>>
  readonly epilogue: readonly EpilogueOp[]
  readonly at: string
}

export interface Draft {
  readonly name: string
  /** Arena buffers stand at {@link UNPLANNED}. */
  readonly buffers: readonly BufferSpec[]
  readonly params: readonly ParamSpec[]
  readonly inputs: readonly PortSpec[]
  readonly outputs: readonly PortSpec[]
  readonly steps: readonly DraftStep[]
}
