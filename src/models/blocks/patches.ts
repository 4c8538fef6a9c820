/** Pictures to patch tokens with their positions, and back. */

import { add } from '../../graph/ops/add'
import { depthToSpace } from '../../graph/ops/depthToSpace'
import { reshape } from '../../graph/ops/reshape'
import { param, type Value } from '../../graph/value'
import { convLayer } from './layers'
import type { Scope } from './scope'
import { type SincosGrid, sincosTable } from './sincosTable'

/**
 * diffusers' `PatchEmbed` with sinusoidal positions: `(h p) (w q) C -> (h w) D`.
 *
 * @param x - shape [h·p, w·p, C].
 * @returns shape [h·w, D].
 */
export function patchEmbed(
  scope: Scope,
  x: Value,
  { patch, width, grid }: { readonly patch: number; readonly width: number; readonly grid: SincosGrid },
): Value {
  const tokens = grid.height * grid.width
  const cells = convLayer(scope.child('proj'), x, width, { kernel: patch, stride: patch }) // [h, w, D]
  const flat = reshape(scope.path, cells, [tokens, width], ['L', 'D'])
  return add(scope.path, flat, param(sincosTable(grid, width), [tokens, width], `${scope.path}.pos_embed`))
}

/**
 * `(h w) (p q C) -> (h p) (w q) C`.
 *
 * @param x - shape [h·w, p·p·C].
 * @returns shape [h·p, w·p, C].
 */
export function unpatchify(
  at: string,
  x: Value,
  { patch, height, width }: { readonly patch: number; readonly height: number; readonly width: number },
): Value {
  const cells = reshape(at, x, [height, width, x.shape.at(-1) ?? 0], ['h', 'w', 'C'])
  return depthToSpace(at, cells, patch)
}
