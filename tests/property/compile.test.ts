/** Properties of the compiler on random graphs: no pass, cut, fusion, layout or plan changes the numbers. */

import { describe, expect, test } from 'vitest'
import { compile } from '../../src/compile/compile'
import { cut } from '../../src/compile/passes/cut'
import { dedupe } from '../../src/compile/passes/dedupe'
import { expand } from '../../src/compile/passes/expand'
import { joinProjections } from '../../src/compile/passes/joinProjections'
import { simplify } from '../../src/compile/passes/simplify'
import type { Graph } from '../../src/graph/graph'
import { verifyGraph } from '../../src/graph/verify'
import { ORACLE } from '../oracle/capabilities'
import { expectClose } from '../oracle/compare'
import type { Dense } from '../oracle/dense'
import { drawnInputs, interpretGraph } from '../oracle/interpret'
import { drawInput, randomGraph, transformer, unet } from '../oracle/networks'
import { random } from '../oracle/random'
import { runCompiled } from '../oracle/runProgram'

const SEEDS = Array.from({ length: 60 }, (_, seed) => seed)
const TOLERANCE = { absolute: 1e-9, relative: 1e-9 } // float64 in another order of sums
function expectSame(what: string, got: Record<string, Dense> | undefined, want: Record<string, Dense>) {
  expect(Object.keys(got ?? {})).toEqual(Object.keys(want))
  for (const [name, value] of Object.entries(want))
    expectClose(`${what} ${name}`, got?.[name]?.data ?? [], value.data, TOLERANCE)
}

/** Inputs of one row; rows differ. */
function rowInputs(g: Graph, row: number) {
  return drawnInputs(g, (name, count, dtype) => drawInput(`${name}.${row}`, count, dtype))
}

const GRAPHS: readonly (readonly [string, () => Graph])[] = [
  ['transformer', () => transformer()],
  ['unet', () => unet()],
  ...SEEDS.map((seed) => [`random ${seed}`, () => randomGraph(random(seed))] as const),
]

describe('graph passes', () => {
  test.each(GRAPHS)('%s: every pass keeps the numbers and the invariants', (_name, build) => {
    let g = build()
    verifyGraph(g)
    const inputs = rowInputs(g, 0)
    const want = interpretGraph(g, inputs)
    for (const pass of [expand, simplify, dedupe, joinProjections, simplify, dedupe]) {
      g = pass(g)
      verifyGraph(g)
      expectSame(pass.name, interpretGraph(g, inputs), want)
    }
  })

  test.each(GRAPHS)('%s: parts put together again are the graph', (_name, build) => {
    const g = build()
    const inputs = rowInputs(g, 0)
    let known: Record<string, ArrayLike<number>> = inputs
    let outputs: Record<string, Dense> = {}
    for (const part of cut(joinProjections(expand(g)))) {
      verifyGraph({ ...part.graph, name: part.set })
      outputs = interpretGraph(part.graph, known)
      known = { ...known, ...Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, value.data])) }
    }
    expectSame('parts', outputs, interpretGraph(g, inputs))
  })
})

describe('programs', () => {
  const forms = [
    { optimise: false },
    { optimise: false, cut: true },
    { optimise: true, cut: false },
    { optimise: true },
    { optimise: true, dtype: 'bf16' as const },
  ]
  for (const options of forms) {
    test.each(GRAPHS)(`%s as a program, ${JSON.stringify(options)}`, async (_name, build) => {
      const g = build()
      const compiled = await compile(g, ORACLE, options)
      const inputs = rowInputs(g, 0)
      expectSame('program', runCompiled(compiled, [inputs])[0], interpretGraph(g, inputs))
    })
  }

  test.each(GRAPHS)('%s: rows of a batch keep apart, for 1 to 7 rows', async (_name, build) => {
    const g = build()
    const compiled = await compile(g, ORACLE, { dtype: 'bf16' })
    for (const rows of [1, 2, 3, 7]) {
      const inputs = Array.from({ length: rows }, (_, row) => rowInputs(g, row))
      const results = runCompiled(compiled, inputs)
      for (const [index, row] of inputs.entries()) {
        expectSame(`row ${index} of ${rows}`, results[index], interpretGraph(g, row))
      }
    }
  })
})
