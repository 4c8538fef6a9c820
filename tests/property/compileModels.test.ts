/** The real networks, in small: every form of their programs gives the graph's numbers, for rows that differ. */

import { describe, expect, test } from 'vitest'
import { compile } from '../../src/compile/compile'
import { ORACLE } from '../oracle/capabilities'
import { expectClose } from '../oracle/compare'
import { goldenGraph, goldenNetworks } from '../oracle/goldenGraph'
import { drawnInputs, interpretGraph } from '../oracle/interpret'
import { drawInput } from '../oracle/networks'
import { runCompiled } from '../oracle/runProgram'

describe.each(goldenNetworks)('$net $case $component', (golden) => {
  test.each([{ optimise: false }, { cut: false }, {}, { dtype: 'bf16' as const }])('%o', async (options) => {
    const { graph: g } = await goldenGraph(golden)
    const compiled = await compile(g, ORACLE, options)
    const rows = [0, 1].map((row) => drawnInputs(g, (name, count, dtype) => drawInput(`${name}.${row}`, count, dtype)))
    const results = runCompiled(compiled, rows)
    for (const [index, row] of rows.entries()) {
      const want = interpretGraph(g, row)
      expect(Object.keys(results[index] ?? {})).toEqual(Object.keys(want))
      for (const [name, value] of Object.entries(want)) {
        const scale = value.data.reduce((most, each) => Math.max(most, Math.abs(each)), 0)
        expectClose(`${name} row ${index}`, results[index]?.[name]?.data ?? [], value.data, {
          absolute: 1e-9 * scale,
          relative: 1e-9,
        })
      }
    }
  })
})
