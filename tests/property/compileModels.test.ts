/** The real networks, in small: every form of their programs gives the graph's numbers, for rows that differ. */

import { describe, expect, test } from 'vitest'
import { compile } from '../../src/compile/compile'
import type { Graph } from '../../src/graph/graph'
import { modelDefinition } from '../../src/models'
import { findComponent, openModelFolder } from '../../src/weights'
import { goldenCases } from '../golden/cases'
import { ORACLE } from '../oracle/capabilities'
import { expectClose } from '../oracle/compare'
import { drawnInputs, interpretGraph } from '../oracle/interpret'
import { drawInput } from '../oracle/networks'
import { runArtifact } from '../oracle/runProgram'

const cases = goldenCases().filter((golden, index, all) => index === all.findIndex((other) => other.folder === golden.folder && other.component === golden.component))

/** The graph of a golden's network at the smallest sizes it takes, with five tokens of text. */
async function smallGraph(golden: (typeof cases)[number]): Promise<Graph> {
  const source = await findComponent(await openModelFolder(golden.folder), golden.component)
  const definition = modelDefinition(source.className ?? '', source.config)
  const place = { component: source.name, ...(source.part ? { part: source.part } : {}) }
  const ports = definition.ports(source.config, place)
  const wanted = ports.outputs.filter((port) => !port.onDemand).map((port) => port.name)
  const sizes = { ...ports.smallest, ...('textLength' in ports.smallest ? { textLength: 5 } : {}) }
  return definition.build(source.config, place, sizes, wanted).graph
}

describe.each(cases)('$net $case $component', (golden) => {
  test.each([{ optimise: false }, { cut: false }, {}, { dtype: 'bf16' as const }])('%o', async (options) => {
    const g = await smallGraph(golden)
    const artifact = await compile(g, ORACLE, options)
    const rows = [0, 1].map((row) => drawnInputs(g, (name, count, dtype) => drawInput(`${name}.${row}`, count, dtype)))
    const results = runArtifact(artifact, rows)
    for (const [index, row] of rows.entries()) {
      const want = interpretGraph(g, row)
      expect(Object.keys(results[index] ?? {})).toEqual(Object.keys(want))
      for (const [name, value] of Object.entries(want)) {
        const scale = value.data.reduce((most, each) => Math.max(most, Math.abs(each)), 0)
        expectClose(`${name} row ${index}`, results[index]?.[name]?.data ?? [], value.data, { absolute: 1e-9 * scale, relative: 1e-9 })
      }
    }
  })
})
