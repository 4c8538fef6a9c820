/** The way down of a UNet and its middle block: what UNets and ControlNets have in common. */

import type { Value } from '../../graph/value'
import type { Axis } from '../model'
import { convLayer } from './layers'
import { resnetBlock } from './resnetBlock'
import type { Scope } from './scope'
import { spatialTransformer, type TextContext } from './spatialTransformer'
import type { UNetEncoderConfig, UNetLevel } from './unetConfig'

/** What all blocks of one UNet read. */
export interface UNetContext {
  readonly config: Pick<UNetEncoderConfig, 'groups' | 'eps' | 'linearProjection'>
  /** SiLU of the time embedding, shape [E]. */
  readonly time: Value
  readonly text: TextContext
}

/** A residual block, and transformer blocks behind it where `blocks` says how many. */
export function unetLayer(
  scope: Scope,
  index: number,
  x: Value,
  { channels, heads }: Pick<UNetLevel, 'channels' | 'heads'>,
  blocks: number | undefined,
  { config, time, text }: UNetContext,
): Value {
  const { groups, eps, linearProjection } = config
  x = resnetBlock(scope.child('resnets').child(index), x, { out: channels, groups, eps, time })
  if (blocks === undefined) return x
  const attention = scope.child('attentions').child(index)
  return spatialTransformer(attention, x, { blocks, heads, groups, linearProjection, text })
}

/**
 * Levels of layers, each but the last followed by a convolution of stride 2.
 *
 * @param x - `conv_in` of the latent, shape [h, w, C].
 * @returns x, and what every layer and every convolution made: the residuals that the way up reads, in this order.
 */
export function unetDown(root: Scope, c: UNetEncoderConfig, x: Value, context: UNetContext): Value[] {
  const residuals = [x]
  c.levels.forEach((level, index) => {
    const scope = root.child('down_blocks').child(index)
    level.down.forEach((blocks, layer) => {
      x = unetLayer(scope, layer, x, level, blocks, context)
      residuals.push(x)
    })
    if (index === c.levels.length - 1) return
    const conv = scope.child('downsamplers').child(0).child('conv')
    x = convLayer(conv, x, level.channels, { kernel: 3, stride: 2, padding: 1 })
    residuals.push(x)
  })
  return residuals
}

/** Shape kept. */
export function unetMid(root: Scope, c: UNetEncoderConfig, x: Value, context: UNetContext): Value {
  const scope = root.child('mid_block')
  const last = c.levels.at(-1)
  if (!last) throw new RangeError('a UNet has at least one level')
  x = unetLayer(scope, 0, x, last, c.midBlocks, context)
  return unetLayer(scope, 1, x, last, undefined, context)
}

/** Axes of a picture of the framework, [C, h, w]. */
type PictureAxes = readonly [channels: number, height: Axis, width: Axis]

/** Axes of the residuals of {@link unetDown}, in its order, and of the middle block's result. */
export function residualAxes(c: UNetEncoderConfig): {
  readonly down: readonly PictureAxes[]
  readonly mid: PictureAxes
} {
  const at = (channels: number, level: number): PictureAxes =>
    level === 0
      ? [channels, 'height', 'width']
      : [channels, { of: 'height', times: 2 ** -level }, { of: 'width', times: 2 ** -level }]
  const last = c.levels.length - 1
  const down = c.levels.flatMap(({ channels, down: layers }, level) => [
    ...layers.map(() => at(channels, level)),
    ...(level === last ? [] : [at(channels, level + 1)]),
  ])
  return { down: [at(c.levels[0]?.channels ?? 0, 0), ...down], mid: at(c.levels[last]?.channels ?? 0, last) }
}
