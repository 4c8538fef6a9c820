/** What a case is: operands by shape and attributes, as plain data for contract tests, fuzz and bench. */

import type { Attrs } from '../../src/graph/value'
import type { Shape } from '../../src/tensor/shape'

/** One operand of a case. */
export interface CaseOperand {
  readonly shape: Shape
  /** `input` varies by row, `param` is packed, `ids` are integers in [0, below). @defaultValue 'input' */
  readonly as?: 'input' | 'param' | 'ids'
  readonly below?: number
  /** Values drawn are normal, times this. @defaultValue 1 */
  readonly spread?: number
  /** Values of row 0, 1, ... instead of drawn ones. */
  readonly values?: readonly number[]
  /** The operand is a slice of something wider: rows at a pitch, or behind other rows. */
  readonly within?: 'columns' | 'rows'
}

/** One call of an op. */
export interface OpCase {
  readonly operands: readonly CaseOperand[]
  readonly attrs?: Attrs
  /** The result is written into a join: at a pitch, or behind other rows. */
  readonly into?: 'columns' | 'rows'
}

/** The cases of one op, and what its results may be off by. */
export interface OpCases {
  /** The op's stem. */
  readonly op: string
  /**
   * Terms summed for one element. Allowed is an error of a float32 epsilon per term of size `term`: rounding errors of
   * a sum of n terms walk about epsilon · √n partial sums of size √n · term.
   */
  reduction(operands: readonly CaseOperand[], attrs: Attrs): number
  /** Size of a term. @defaultValue 1 */
  readonly term?: number
  /** The kernel may round to the network's type inside, as gemms on attention weights do; also in float32 results. */
  readonly roundsInside?: boolean
  readonly cases: readonly OpCase[]
}

/** An input of a row. */
export const x = (...shape: number[]): CaseOperand => ({ shape })
/** A parameter; half the spread, as weights are small. */
export const param = (...shape: number[]): CaseOperand => ({ shape, as: 'param', spread: 0.5 })
/** Length of the last axis of the first operand. */
export const lastOf = (operands: readonly CaseOperand[]): number => operands[0]?.shape.at(-1) ?? 1
/** Element-wise: one rounding per op and some in the function. */
export const elementwiseReduction = (): number => 4

/** The shapes element-wise ops and norms are tried in: 1, odd, prime, around vector widths, misaligned. */
export const VECTOR_SHAPES: readonly Shape[] = [
  [1],
  [7],
  [1, 1],
  [3, 5],
  [2, 8],
  [5, 13],
  [4, 16],
  [3, 17],
  [2, 31],
  [9, 64],
  [1, 127],
  [3, 257],
  [2, 3, 4],
  [5, 1, 9],
]
