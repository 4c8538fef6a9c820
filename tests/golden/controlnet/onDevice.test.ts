/** Several ControlNets sum on the device: residuals of one stay in buffers that the next one reads and adds its own to. */

import { afterAll, expect, it } from 'vitest'
import { type DeviceBuffer, DeviceWeights, loadNetwork, type NetworkRow, openDevice } from '../../../src/bindings'
import type { Form } from '../../../src/models'
import { openComponent } from '../../../src/pipelines/componentModel'
import { bindInputs } from '../../../src/pipelines/ports'
import { goldenCases, readCase, relativeL2 } from '../cases'

const device = openDevice({ device: 'cpu' })
afterAll(() => device.dispose())

it('adds up two ControlNets without leaving the device, and shares packs between forms', async () => {
  const golden = goldenCases().find(({ net, case: name }) => net === 'controlnet' && name === 'sd1')
  if (!golden) throw new Error('no golden')
  const { inputs } = await readCase(golden)
  const { definition, config, place, ports, checkpoint } = await openComponent(golden.folder, golden.component)
  const { sizes, rows } = bindInputs(golden.component, ports, inputs)
  using weights = new DeviceWeights(device, checkpoint)
  const load = (form: Form) =>
    loadNetwork(device, definition.build(config, place, sizes, undefined, form).graph, weights, { dtype: 'f32' })
  using plain = await load('plain')
  const { packBytes } = weights.memory()
  using controlled = await load('controlled')
  expect(weights.memory().packBytes).toBe(packBytes)

  // The second ControlNet: the same weights, another hint and another scale for each residual.
  const second = rows.map(({ inputs: row }, index): NetworkRow => {
    const [hint, scale] = [row.controlnet_cond, row.conditioning_scale]
    if (!(hint instanceof Float32Array) || !(scale instanceof Float32Array)) throw new TypeError('arrays')
    return {
      inputs: {
        ...row,
        controlnet_cond: hint.toReversed(),
        conditioning_scale: scale.map((_, place) => (place + 1 + index) / 4),
      },
    }
  })
  const [first, other] = [await plain.run(rows), await plain.run(second)]

  const between: Record<string, DeviceBuffer[]> = Object.fromEntries(
    plain.outputs.map(({ name, shape }) => [
      name,
      rows.map(() => device.allocate(4 * shape.reduce((size, extent) => size * extent, 1))),
    ]),
  )
  try {
    expect(await plain.run(rows, { outputs: between })).toEqual(rows.map(() => ({})))
    const sums = await controlled.run(
      second.map(({ inputs: row }, index) => {
        const earlier = Object.entries(between).map(([name, buffers]) => [residualOf(name), buffers[index]])
        return { inputs: { ...row, ...Object.fromEntries(earlier) } }
      }),
    )
    for (const [index, sum] of sums.entries()) {
      for (const [name, values] of Object.entries(sum)) {
        const want = values.map((_, i) => (first[index]?.[name]?.[i] ?? 0) + (other[index]?.[name]?.[i] ?? 0))
        expect(relativeL2(values, want), name).toBeLessThan(1e-6)
      }
    }
  } finally {
    for (const buffer of Object.values(between).flat()) buffer.dispose()
  }
})

/** The input that an output of an earlier ControlNet is given as. */
function residualOf(output: string): string {
  return output
    .replace('down_block_res_samples', 'down_block_additional_residuals')
    .replace('mid_block_res_sample', 'mid_block_additional_residual')
}
