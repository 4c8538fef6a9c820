/** Networks through `loadComponent` against diffusers and transformers, on every backend, in f32, bf16 and f16. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, DeviceWeights, loadNetwork, openDevice } from '../../src/bindings'
import { recipeTensors } from '../../src/graph/recipe'
import { neededTensors } from '../../src/models'
import { type Component, loadComponent } from '../../src/pipelines/component'
import { openComponent } from '../../src/pipelines/componentModel'
import { bindInputs, gatherOutputs } from '../../src/pipelines/ports'
import type { Tensor } from '../../src/tensor/tensor'
import { toFloat32 } from '../../src/tensor/widen'
import { type Checkpoint, readTensors, writeSafetensors } from '../../src/weights'
import { type GoldenCase, goldenCases, numbers, readCase, readHeader, relativeL2 } from './cases'

const BACKENDS = ['reference', 'cpu'] as const
const cases = goldenCases()

describe.each(BACKENDS)('%s', (backend) => {
  let device: Device
  beforeAll(() => {
    device = openDevice({ device: backend })
  })
  afterAll(() => device.dispose())

  const load = (golden: GoldenCase, dtype: 'f32' | 'bf16' | 'f16', folder = golden.folder): Promise<Component> =>
    loadComponent(folder, golden.component, { device, dtype })

  describe.each(cases)('$net $case $component', (golden) => {
    it('agrees in f32', async () => {
      const { inputs, outputs } = await readCase(golden)
      using component = await load(golden, 'f32')
      expect(component.unused).toEqual([])
      const got = await component.run(inputs, { outputs: Object.keys(outputs) })
      for (const [name, want] of Object.entries(outputs)) {
        expect(got[name]?.shape).toEqual(want.shape)
        expect(relativeL2(numbers(got[name]), numbers(want)), name).toBeLessThan(golden.tolerance.f32)
      }
    })

    it.each(['bf16', 'f16'] as const)('is as close in %s as PyTorch is', async (dtype) => {
      const { inputs, outputs } = await readCase(golden)
      using component = await load(golden, dtype)
      const got = await component.run(inputs, { outputs: Object.keys(outputs) })
      for (const [name, want] of Object.entries(outputs)) {
        const allowed = golden.tolerance[dtype][name] ?? 0
        expect(relativeL2(numbers(got[name]), numbers(want)), name).toBeLessThan(allowed)
      }
    })

    it('gives a row the same bits alone', async () => {
      const { inputs } = await readCase(golden)
      using component = await load(golden, 'f32')
      const together = await component.run(inputs)
      const alone = await component.run(
        Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, lastRow(tensor)])),
      )
      for (const [name, tensor] of Object.entries(together)) expect(alone[name]?.data).toEqual(lastRow(tensor).data)
    })
  })

  it('reads the published names of TAESD without a config', async () => {
    for (const half of ['encoder', 'decoder']) {
      const golden = cases.find(
        ({ net, case: name, component }) => net === 'taesd' && name === 'published' && component === `vae.${half}`,
      )
      if (!golden) throw new Error(`no golden for the ${half}`)
      const { inputs, outputs } = await readCase(golden)
      using component = await load(golden, 'f32', path.join(golden.folder, `raw_${half}.safetensors`))
      const got = await component.run(inputs)
      for (const [name, want] of Object.entries(outputs))
        expect(relativeL2(numbers(got[name]), numbers(want))).toBeLessThan(golden.tolerance.f32)
    }
  })
})

/** Every tensor, one after the other, replaced by other values: a network that forgot one would not notice. */
describe('redrawing any single tensor moves the output', () => {
  const device = openDevice({ device: 'cpu' })
  const scratch = mkdtempSync(path.join(tmpdir(), 'irodori-redraw-'))
  afterAll(() => {
    device.dispose()
    rmSync(scratch, { recursive: true, force: true })
  })

  // Small networks only: each is bound once per tensor.
  it.each(cases.filter(({ model }) => !model))(
    '$net $case $component',
    async (golden) => {
      const { inputs, outputs } = await readCase(golden)
      const { definition, config, place, ports, checkpoint } = await openComponent(golden.folder, golden.component)
      const { sizes, form, rows } = bindInputs(golden.component, ports, inputs)
      const model = definition.build(config, place, sizes, Object.keys(outputs), form)
      using original = new DeviceWeights(device, checkpoint)
      const tensors = await readTensors(checkpoint.tensors.values())
      for (const { name } of neededTensors(model.graph)) {
        const file = path.join(scratch, `${golden.net}.${golden.case}.${golden.component}.safetensors`)
        await writeSafetensors(file, { [name]: redrawn(tensors[name]) })
        const [entry] = await readHeader(file)
        if (!entry) throw new RangeError(`${file} has one tensor`)
        const changed = new Map([...checkpoint.tensors, [name, entry]])
        using weights = new RedrawnWeights(original, { tensors: changed, identity: `${file} ${name}` }, name)
        using network = await loadNetwork(device, model.graph, weights, { dtype: 'f32' })
        const got = gatherOutputs(model.outputs, model.graph, await network.run(rows))
        const moved = Math.max(
          ...Object.entries(outputs).map(([output, want]) => relativeL2(numbers(got[output]), numbers(want))),
        )
        // Softmax does not change when one number is added to all scores of a query: key biases move nothing.
        if (/\b(to_k|k_proj)\.bias$/.test(name)) expect(moved, name).toBeLessThan(golden.tolerance.f32)
        else expect(moved, name).toBeGreaterThan(10 * golden.tolerance.f32)
      }
    },
    180_000,
  )
})

/** Weights of which one tensor is another one: only packs that read it are made anew. */
class RedrawnWeights extends DeviceWeights {
  constructor(
    readonly original: DeviceWeights,
    changed: Checkpoint,
    readonly redrawn: string,
  ) {
    super(original.device, changed)
  }

  override async packs(
    ...[params, options]: Parameters<DeviceWeights['packs']>
  ): Promise<Awaited<ReturnType<DeviceWeights['packs']>>> {
    const others = params.filter(({ recipe }) => recipeTensors(recipe).every(({ name }) => name !== this.redrawn))
    const own = await super.packs(
      params.filter((param) => !others.includes(param)),
      options,
    )
    const known = await this.original.packs(others, options)
    return params.flatMap((param) => (others.includes(param) ? known : own).shift() ?? [])
  }

  override fork(): DeviceWeights {
    return new RedrawnWeights(this.original, this.checkpoint, this.redrawn)
  }
}

function lastRow(tensor: Tensor): Tensor {
  const [rows = 1, ...shape] = tensor.shape
  const size = tensor.data.length / rows
  return { ...tensor, shape: [1, ...shape], data: tensor.data.slice((rows - 1) * size) }
}

/** Other values of the same scale: reversed and with signs changed in turn. */
function redrawn(tensor: Tensor | undefined): Tensor {
  if (!tensor) throw new RangeError('a needed tensor is in the file')
  const values = toFloat32(tensor)
  return {
    ...tensor,
    dtype: 'f32',
    data: Float32Array.from(values, (_, i) => (values[values.length - 1 - i] ?? 0) * (i % 2 ? 1 : -1) + 0.01),
  }
}
