/** Two-dimensional sinusoidal position tables, as DiT and PixArt add them to their patches. */

import { literalRecipe, type Recipe } from '../../graph/recipe'

/** Grid of patches and how their positions are spaced. */
export interface SincosGrid {
  readonly height: number
  readonly width: number
  /** Patches per side at the trained size: positions run from 0 to this, whatever the grid. */
  readonly baseSize: number
  readonly interpolationScale: number
}

/**
 * The table: for each cell, row by row, its x position in the first half of the channels and its y position in the
 * second; a half is [sin(p·ω), cos(p·ω)] with ω_k = 10000^(-k / (D/4)).
 *
 * Positions are float32, everything after float64 and rounded once, which is what diffusers does.
 *
 * @param width - channels D, a multiple of 4.
 * @returns shape [h·w, D].
 */
export function sincosTable(grid: SincosGrid, width: number): Recipe {
  const quarter = width / 4
  const data = new Float32Array(grid.height * grid.width * width)
  const frequencies = Float64Array.from({ length: quarter }, (_, k) => 1 / 10000 ** (k / quarter))
  const xs = positions(grid.width, grid)
  const ys = positions(grid.height, grid)
  let at = 0
  for (const y of ys) {
    for (const x of xs) {
      for (const position of [x, y]) {
        frequencies.forEach((frequency, k) => {
          data[at + k] = Math.sin(position * frequency)
          data[at + quarter + k] = Math.cos(position * frequency)
        })
        at += 2 * quarter
      }
    }
  }
  return literalRecipe(data, [grid.height * grid.width, width])
}

/** p_i = i / (n / base) / scale, each step rounded to float32. */
function positions(count: number, { baseSize, interpolationScale }: SincosGrid): Float32Array {
  const spacing = Math.fround(count / baseSize)
  return Float32Array.from({ length: count }, (_, i) =>
    Math.fround(Math.fround(i / spacing) / Math.fround(interpolationScale)),
  )
}
