/** The networks' graphs in float64 against diffusers and transformers: whether they say the right thing, whatever runs them. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Graph, graph } from '../../../src/graph/graph'
import { literalRecipe, type Recipe } from '../../../src/graph/recipe'
import { rewrite, withOperands } from '../../../src/graph/rewrite'
import { param } from '../../../src/graph/value'
import { modelDefinition, neededTensors } from '../../../src/models'
import { bindInputs } from '../../../src/pipelines/ports'
import type { Tensor } from '../../../src/tensor/tensor'
import { toFloat32 } from '../../../src/tensor/widen'
import {
  assertComplete,
  findComponent,
  openCheckpoint,
  openModelFolder,
  readTensors,
  rename,
  report,
} from '../../../src/weights'
import {
  type GoldenCase,
  goldenCases,
  manifestFiles,
  numbers,
  readCase,
  readHeader,
  relativeL2,
} from '../../golden/cases'
import { interpretGraph } from '../../oracle/interpret'

/** The float32 of the frameworks is what is off here: the graph is evaluated in float64. */
const TOLERANCE = 1e-5

const cases = goldenCases()

it('finds the cases of eight networks', () => {
  const nets = ['taesd', 'dit', 'pixart', 'clip', 'srvgg', 'vae', 'unet', 'controlnet']
  expect(new Set(cases.map((golden) => golden.net))).toEqual(new Set(nets))
})

it('has the files that the manifests were written with', () => {
  for (const { file, sha256 } of manifestFiles()) {
    expect(createHash('sha256').update(readFileSync(file)).digest('hex'), file).toBe(sha256)
  }
})

describe.each(cases)('$net $case $component', (golden) => {
  it('agrees in float64', async () => {
    const { inputs, outputs } = await readCase(golden)
    const got = await evaluate(golden, inputs, Object.keys(outputs))
    for (const [name, want] of Object.entries(outputs))
      expect(relativeL2(got[name] ?? [], numbers(want)), name).toBeLessThan(TOLERANCE)
  })
})

async function evaluate(
  golden: GoldenCase,
  inputs: Record<string, Tensor>,
  wanted: string[],
): Promise<Record<string, number[]>> {
  const source = await findComponent(await openModelFolder(golden.folder), golden.component)
  const definition = modelDefinition(source.className ?? '', source.config)
  const place = { component: source.name, ...(source.part ? { part: source.part } : {}) }
  const table = definition.renames(source.config, place)
  const checkpoint = await openCheckpoint(source.weights.files, {
    readIndex: readHeader,
    rename: (name) => rename(name, table),
  })
  const { sizes, form, rows } = bindInputs(golden.component, definition.ports(source.config, place), inputs)
  const model = definition.build(source.config, place, sizes, wanted, form)
  const found = report(checkpoint, neededTensors(model.graph))
  assertComplete(found, golden.folder)
  const full = definition.build(
    source.config,
    place,
    sizes,
    definition.ports(source.config, place).outputs.map((port) => port.name),
  )
  expect(report(checkpoint, neededTensors(full.graph)).unused).toEqual([])

  const bound = withTensors(model.graph, await readTensors(checkpoint.tensors.values()))
  const result: Record<string, number[]> = Object.fromEntries(model.outputs.map((port) => [port.name, []]))
  for (const row of rows) {
    const arrays = Object.entries(row.inputs).flatMap(([name, value]) =>
      'length' in value ? [[name, value] as const] : [],
    )
    const values = interpretGraph(bound, Object.fromEntries(arrays))
    for (const { name, output, kind } of model.outputs) {
      const { shape = [], data = new Float64Array() } = values[output] ?? {}
      const [, , channels = 1] = shape
      const ordered =
        kind === 'picture'
          ? Array.from({ length: channels }, (_, c) => data.filter((_value, i) => i % channels === c))
          : [data]
      for (const part of ordered) for (const value of part) result[name]?.push(value)
    }
  }
  return result
}

/** The graph with every checkpoint tensor in place. */
function withTensors(g: Graph, tensors: Readonly<Record<string, Tensor>>): Graph {
  const fill = (recipe: Recipe): Recipe => {
    switch (recipe.kind) {
      case 'tensor': {
        const tensor = tensors[recipe.name]
        if (!tensor) throw new RangeError(recipe.name)
        return literalRecipe(toFloat32(tensor), recipe.shape)
      }
      case 'literal':
        return recipe
      case 'concat':
        return { ...recipe, parts: recipe.parts.map(fill) }
      default:
        return { ...recipe, of: fill(recipe.of) }
    }
  }
  return rewrite(graph(g.name, g.outputs), (value, operands) =>
    value.origin.kind === 'param'
      ? param(fill(value.origin.recipe), value.shape, value.at)
      : withOperands(value, operands),
  )
}
