/** Residuals of a ControlNet as inputs: of the UNet they steer, or of another ControlNet that adds its own to them. */

import { input, type Value } from '../../graph/value'
import type { InputPort } from '../model'
import type { UNetEncoderConfig } from './unetConfig'
import { residualAxes } from './unetEncoder'

/** The graph input of a residual of the way down. */
export const downResidualName = (index: number): string => `down_block_additional_residuals.${index}`

/** The graph input of the residual of the middle block. */
export const MID_RESIDUAL_NAME = 'mid_block_additional_residual'

/** Ports of the controlled form, in the order of the residuals, the middle block's last. */
export function residualPorts(c: UNetEncoderConfig): InputPort[] {
  const { down, mid } = residualAxes(c)
  const port = (name: string, axes: InputPort['axes']): InputPort => ({
    kind: 'picture',
    name,
    input: name,
    axes,
    form: 'controlled',
  })
  return [...down.map((axes, index) => port(downResidualName(index), axes)), port(MID_RESIDUAL_NAME, mid)]
}

/** The residual that is added to a value, of its shape [h, w, C]. */
export function residualInput(name: string, { shape }: Value): Value {
  return input(name, 'latent', { shape, dtype: 'f32', axes: ['h', 'w', 'C'] })
}
