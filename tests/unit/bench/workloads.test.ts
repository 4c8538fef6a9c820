/** Workloads: configs that the networks take, inputs that fit them, sizes that are meant. */
import { describe, expect, it } from 'vitest'
import { WORKLOADS } from '../../../src/bench/workloads'
import { graphFlops } from '../../../src/graph/graph'
import { modelDefinition, neededTensors } from '../../../src/models'
import { bindInputs } from '../../../src/pipelines/ports'
import { elements } from '../../../src/tensor/shape'

/** Parameters in millions and operations of one row in billions, as published for these networks. */
const SIZES: Readonly<Record<string, readonly [number, number]>> = {
  'sd15-unet': [859.5, 803],
  'dit-xl': [750, 237],
  'dit-small': [35, 2.84],
  'vae-decoder': [49.5, 2515],
  'taesd-decoder': [1.22, 141],
}

describe.each(WORKLOADS.filter(({ source }) => 'config' in source))(
  '$name',
  ({ name, component, source, rows, inputs }) => {
    const config = 'config' in source ? source.config : {}
    const [part = '', half] = component.split('.')
    const place = { component: part, ...(half === 'decoder' ? ({ part: half } as const) : {}) }
    const definition = modelDefinition(String(config._class_name), config)
    const ports = definition.ports(config, place)

    it('takes its inputs for any number of rows, and no run is like another where there is a timestep', () => {
      for (const count of rows) expect(bindInputs(name, ports, inputs(count, 3)).rows).toHaveLength(count)
      const timesteps = [1, 2, 3].map((turn) => inputs(1, turn).timestep?.data[0])
      if (timesteps[0] !== undefined) expect(new Set(timesteps).size).toBe(3)
    })

    it('has the parameters and the arithmetic it is known for', () => {
      const { sizes } = bindInputs(name, ports, inputs(1, 0))
      const { graph } = definition.build(config, place, sizes)
      const [parameters = 0, flops = 0] = SIZES[name] ?? []
      const count = neededTensors(graph).reduce((sum, { shape }) => sum + elements(shape), 0)
      expect(Math.abs(count / 1e6 / parameters - 1)).toBeLessThan(0.02)
      expect(Math.abs(graphFlops(graph) / 1e9 / flops - 1)).toBeLessThan(0.02)
    })
  },
)
