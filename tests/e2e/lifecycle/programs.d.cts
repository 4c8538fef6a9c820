/** Types of the programs made by hand. */

import type { Program } from '../../../src/compile/index.js'
import type { Recipe } from '../../../src/graph/recipe.js'
import type { Checkpoint } from '../../../src/weights/checkpoint.js'

export const affine: (n: number) => Program
export const lookup: (n: number, rows: number, width: number) => Program
export const chain: (options: {
  readonly tokens: number
  readonly width: number
  readonly steps: number
  readonly weight?: (step: number) => Recipe
}) => Program
export const emptyCheckpoint: Checkpoint
export const noise: (length: number, seed: number) => Float32Array<ArrayBuffer>
