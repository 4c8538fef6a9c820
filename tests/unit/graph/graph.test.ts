/** Printing, verifying, costing and rewriting graphs. */

import { describe, expect, test } from 'vitest'
import { costBySet, graphCost } from '../../../src/graph/cost'
import { type Graph, graph, graphFlops } from '../../../src/graph/graph'
import * as ops from '../../../src/graph/ops'
import { printGraph } from '../../../src/graph/print'
import { literalRecipe, tensorRecipe } from '../../../src/graph/recipe'
import { rewrite, useCounts } from '../../../src/graph/rewrite'
import { input, param, type Value } from '../../../src/graph/value'
import { verifyGraph } from '../../../src/graph/verify'
import { transformer } from '../../oracle/networks'

const latent = input('sample', 'latent', { shape: [2, 3], dtype: 'f32', axes: ['L', 'D'] })
const time = input('timestep', 'step', { shape: [3], dtype: 'f32', axes: ['D'] })
const weight = param(tensorRecipe('proj.weight', [3, 3]), [3, 3], 'proj.weight')

test('the text form is one line per value', () => {
  const y = ops.add('blocks.0', ops.linear('proj', latent, weight), ops.silu('act', time))
  expect(printGraph(graph('tiny', { sample: ops.slice('out', y, 0, 1, 1), also: time }))).toMatchInlineSnapshot(`
    "graph tiny
    %0 = input sample [L 2, D 3] f32 {latent} sample
    %1 = param proj.weight[3, 3] [3, 3] f32 proj.weight
    %2 = linear(%0, %1) [L 2, D 3] f32 {latent} proj
    %3 = input timestep [D 3] f32 {step} timestep
    %4 = activation(%3) {kind: "silu"} [D 3] f32 {step} act
    %5 = add(%2, %4) [L 2, D 3] f32 {step+latent} blocks.0
    %6 = slice(%5) {axis: 0, start: 1, size: 1} [L 1, D 3] f32 {step+latent} out
    output sample = %6
    output also = %3
    "
  `)
})

test('a literal prints a digest of its values', () => {
  const text = (data: number[]) =>
    printGraph(graph('g', { y: ops.add('a', latent, param(literalRecipe(Float32Array.from(data), [3]), [3], 'lit')) }))
  expect(text([1, 2, 3])).toBe(text([1, 2, 3]))
  expect(text([1, 2, 3])).not.toBe(text([1, 2, 4]))
})

test('cost by set says what can be cut out', () => {
  const g = graph('g', { y: ops.add('a', ops.linear('proj', latent, weight), ops.silu('act', time)) })
  expect(Object.fromEntries(costBySet(g, 4))).toEqual({
    latent: { flops: 36, bytes: 4 * (6 + 9 + 6) },
    step: { flops: 30, bytes: 4 * 6 },
    'step+latent': { flops: 6, bytes: 4 * (6 + 3 + 6) },
  })
  expect(graphCost(g, 4).flops).toBe(graphFlops(g))
})

test('rewriting rebuilds what depends on a change and keeps the rest', () => {
  const a = ops.silu('a', latent)
  const b = ops.relu('b', a)
  const g = graph('g', { b, kept: ops.tanh('kept', latent) })
  const changed = rewrite(g, (value) => (value === a ? ops.gelu('a', latent) : undefined))
  expect(changed.outputs.kept).toBe(g.outputs.kept)
  expect(changed.outputs.b?.origin).toMatchObject({ op: 'activation', attrs: { kind: 'relu' } })
  expect(printGraph(changed)).toContain('kind: "gelu"')
  expect(useCounts(g).get(latent)).toBe(2)
})

describe('the verifier names the invariant', () => {
  const g = transformer()
  const find = (test: (value: Value) => boolean): Value => g.values.find(test) ?? latent
  const replaced = (from: Value, to: Value): Graph => ({
    ...g,
    values: g.values.map((value) => (value === from ? to : value)),
  })
  const linear = ops.linear('proj', latent, weight)
  const alone = (value: Value, before: readonly Value[] = [latent, weight]): Graph => ({
    name: 'g',
    outputs: { y: value },
    values: [...before, value],
  })

  test('a good graph passes', () => expect(() => verifyGraph(g)).not.toThrow())

  const broken: readonly (readonly [string, Graph])[] = [
    ['outputs', { name: 'g', outputs: {}, values: [] }],
    ['order', { ...g, values: g.values.toReversed() }],
    ['order', { ...g, values: g.values.slice(1) }],
    ['types', alone({ ...linear, shape: [2, 4] })],
    ['types', alone({ ...linear, axes: ['D'] })],
    ['sets', alone({ ...linear, set: 'step' })],
    ['inputs', { name: 'g', outputs: { y: latent, z: { ...latent } }, values: [latent, { ...latent }] }],
    ['params', alone({ ...weight, shape: [3, 4] }, [])],
    ['arity', alone({ ...linear, origin: { kind: 'op', op: 'linear', inputs: [latent], attrs: {} } }, [latent])],
    [
      'outputs',
      replaced(
        find((value) => value === g.outputs.sample),
        { ...(g.outputs.sample ?? latent) },
      ),
    ],
  ]
  test.each(broken)('%s %#', (invariant, bad) => {
    expect(() => verifyGraph(bad)).toThrow(
      expect.objectContaining({ code: 'invalid-graph', context: expect.objectContaining({ invariant }) }),
    )
  })
})
