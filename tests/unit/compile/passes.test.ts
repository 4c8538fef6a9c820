/** Every pass by a print before and after. */

import { describe, expect, test } from 'vitest'
import { compile } from '../../../src/compile/compile'
import { cut } from '../../../src/compile/passes/cut'
import { dedupe } from '../../../src/compile/passes/dedupe'
import { expand } from '../../../src/compile/passes/expand'
import { joinProjections } from '../../../src/compile/passes/joinProjections'
import { simplify } from '../../../src/compile/passes/simplify'
import { printProgram } from '../../../src/compile/print'
import { type Graph, graph } from '../../../src/graph/graph'
import * as ops from '../../../src/graph/ops'
import { printGraph } from '../../../src/graph/print'
import { input, type Value } from '../../../src/graph/value'
import { verifyGraph } from '../../../src/graph/verify'
import { ORACLE } from '../../oracle/capabilities'
import { dense, weight } from '../../oracle/networks'

const x = input('x', 'latent', { shape: [4, 6], dtype: 'f32', axes: ['L', 'D'] })
const text = input('text', 'prompt', { shape: [3, 6], dtype: 'f32', axes: ['S', 'D'] })
const time = input('time', 'step', { shape: [1], dtype: 'f32', axes: ['_'] })

/** The text form after a pass. */
function printed(pass: (g: Graph) => Graph, outputs: Record<string, Value>): string {
  const g = pass(graph('g', outputs))
  verifyGraph(g)
  return `\n${printGraph(g)}`
}

/** The text form of the row part. */
async function programOf(outputs: Record<string, Value>, options: Parameters<typeof compile>[2] = {}): Promise<string> {
  const { parts } = await compile(graph('g', outputs), ORACLE, options)
  return `\n${parts.map((part) => printProgram(part.payload.program)).join('\n')}`
}

describe('expand', () => {
  test('modulate', () => {
    expect(
      printed(expand, { y: ops.modulate('m', x, dense('shift', x, 6), dense('scale', x, 6)) }),
    ).toMatchInlineSnapshot(`
      "
      graph g
      %0 = input x [L 4, D 6] f32 {latent} x
      %1 = param scale.weight[6, 6] [6, 6] f32 scale.weight
      %2 = param scale.bias[6] [6] f32 scale.bias
      %3 = linear(%0, %1, %2) [L 4, D 6] f32 {latent} scale
      %4 = mul_one_plus(%0, %3) [L 4, D 6] f32 {latent} m
      %5 = param shift.weight[6, 6] [6, 6] f32 shift.weight
      %6 = param shift.bias[6] [6] f32 shift.bias
      %7 = linear(%0, %5, %6) [L 4, D 6] f32 {latent} shift
      %8 = add(%4, %7) [L 4, D 6] f32 {latent} m
      output y = %8
      "
    `)
  })
  test('pixel_shuffle', () => {
    const picture = input('x', 'latent', { shape: [2, 2, 4], dtype: 'f32', axes: ['h', 'w', 'C'] })
    expect(printed(expand, { y: ops.pixelShuffle('up', picture, 2) })).toMatchInlineSnapshot(`
      "
      graph g
      %0 = input x [h 2, w 2, C 4] f32 {latent} x
      %1 = reshape(%0) {shape: [2, 2, 1, 2, 2], axes: "h w C p q"} [h 2, w 2, C 1, p 2, q 2] f32 {latent} up
      %2 = permute(%1) {order: [0, 3, 1, 4, 2]} [h 2, p 2, w 2, q 2, C 1] f32 {latent} up
      %3 = reshape(%2) {shape: [4, 4, 1], axes: "h w C"} [h 4, w 4, C 1] f32 {latent} up
      output y = %3
      "
    `)
  })
})

test('dedupe: one silu of the time is enough', () => {
  const both = ops.add('sum', dense('a', ops.silu('a.act', x), 6), dense('b', ops.silu('b.act', x), 6))
  expect(printed(dedupe, { y: both })).toMatchInlineSnapshot(`
    "
    graph g
    %0 = input x [L 4, D 6] f32 {latent} x
    %1 = activation(%0) {kind: "silu"} [L 4, D 6] f32 {latent} a.act
    %2 = param a.weight[6, 6] [6, 6] f32 a.weight
    %3 = param a.bias[6] [6] f32 a.bias
    %4 = linear(%1, %2, %3) [L 4, D 6] f32 {latent} a
    %5 = param b.weight[6, 6] [6, 6] f32 b.weight
    %6 = param b.bias[6] [6] f32 b.bias
    %7 = linear(%1, %5, %6) [L 4, D 6] f32 {latent} b
    %8 = add(%4, %7) [L 4, D 6] f32 {latent} sum
    output y = %8
    "
  `)
})

describe('simplify', () => {
  test('rearrangements that change nothing go away', () => {
    const there = ops.reshape('split', x, [4, 2, 3], ['L', 'N', 'K'])
    const back = ops.reshape('join', ops.permute('same', there, [0, 1, 2]), [4, 6], ['L', 'D'])
    expect(
      printed(simplify, { y: ops.relu('act', ops.scale('one', ops.slice('all', back, 0, 0, 4), 1)) }),
    ).toMatchInlineSnapshot(`
      "
      graph g
      %0 = input x [L 4, D 6] f32 {latent} x
      %1 = activation(%0) {kind: "relu"} [L 4, D 6] f32 {latent} act
      output y = %1
      "
    `)
  })
  test('rearranged parameters become recipes', () => {
    expect(
      printed(simplify, { y: ops.add('y', x, ops.slice('row', weight('table', [2, 6]), 0, 1, 1)) }),
    ).toMatchInlineSnapshot(`
      "
      graph g
      %0 = input x [L 4, D 6] f32 {latent} x
      %1 = param slice(0; 1+1; table[2, 6]) [1, 6] f32 row
      %2 = add(%0, %1) [L 4, D 6] f32 {latent} y
      output y = %2
      "
    `)
  })
  test('a permute that moves only axes of size 1 is a reshape; two permutes are one', () => {
    const cube = ops.reshape('cube', x, [4, 1, 6], ['L', '_', 'D'])
    const twice = ops.permute(
      'b',
      ops.permute('a', ops.reshape('split', x, [4, 2, 3], ['L', 'N', 'K']), [1, 0, 2]),
      [2, 1, 0],
    )
    expect(printed(simplify, { y: ops.permute('front', cube, [1, 0, 2]), z: twice })).toMatchInlineSnapshot(`
      "
      graph g
      %0 = input x [L 4, D 6] f32 {latent} x
      %1 = reshape(%0) {shape: [1, 4, 6], axes: "_ L D"} [1, L 4, D 6] f32 {latent} front
      %2 = reshape(%0) {shape: [4, 2, 3], axes: "L N K"} [L 4, N 2, K 3] f32 {latent} split
      %3 = permute(%2) {order: [2, 0, 1]} [K 3, L 4, N 2] f32 {latent} b
      output y = %1
      output z = %3
      "
    `)
  })
})

describe('join_projections', () => {
  test('q, k and v of one x are one linear; a missing bias is zeros', () => {
    const attention = ops.attention('attn', dense('to_q', x, 6), dense('to_k', x, 6), dense('to_v', x, 6, false), {
      heads: 2,
    })
    expect(printed(joinProjections, { y: attention })).toMatchInlineSnapshot(`
      "
      graph g
      %0 = input x [L 4, D 6] f32 {latent} x
      %1 = param concat(0; to_q.weight[6, 6], to_k.weight[6, 6], to_v.weight[6, 6]) [18, 6] f32 to_q+2
      %2 = param concat(0; to_q.bias[6], to_k.bias[6], literal(9d908ecfb6b256def8b49a7c)[6]) [18] f32 to_q+2
      %3 = linear(%0, %1, %2) [L 4, D 18] f32 {latent} to_q+2
      %4 = slice(%3) {axis: 1, start: 0, size: 6} [L 4, D 6] f32 {latent} to_q
      %5 = slice(%3) {axis: 1, start: 6, size: 6} [L 4, D 6] f32 {latent} to_k
      %6 = slice(%3) {axis: 1, start: 12, size: 6} [L 4, D 6] f32 {latent} to_v
      %7 = attention(%4, %5, %6) {heads: 2, causal: false, scale: 0.5773502691896258} [L 4, D 6] f32 {latent} attn
      output y = %7
      "
    `)
  })
  test('no zeros when no bias was there', () => {
    const attention = ops.attention('attn', x, dense('to_k', text, 6, false), dense('to_v', text, 6, false), {
      heads: 2,
    })
    expect(printed(joinProjections, { y: attention })).not.toContain('literal')
  })
  test('a projection whose activation can ride along is left alone', () => {
    const gated = ops.mul('gated', ops.silu('act', dense('w1', x, 6)), dense('w3', x, 6))
    const g = graph('g', { y: gated })
    expect(printGraph(joinProjections(g))).toBe(printGraph(g))
  })
})

describe('cut', () => {
  const modulation = ops.reshape(
    'mod',
    dense('mod.linear', ops.timestepEmbedding('mod.time', ops.scale('mod.ms', time, 1000), 4), 12),
    [2, 6],
    ['s', 'D'],
  )
  const shift = ops.slice('mod.shift', modulation, 0, 0, 1)
  const scale = ops.slice('mod.scale', modulation, 0, 1, 1)

  test('states are what was computed, views are taken again by who reads', () => {
    const y = ops.attention('attn', ops.modulate('x.mod', x, shift, scale), dense('to_k', text, 6), text, { heads: 2 })
    expect(
      `\n${cut(graph('g', { y }))
        .map((part) => `${part.set}: ${[...part.states]}\n${printGraph(part.graph)}`)
        .join('\n')}`,
    ).toMatchInlineSnapshot(`
      "
      prompt: 
      graph g/prompt
      %0 = input text [S 3, D 6] f32 {prompt} text
      %1 = param to_k.weight[6, 6] [6, 6] f32 to_k.weight
      %2 = param to_k.bias[6] [6] f32 to_k.bias
      %3 = linear(%0, %1, %2) [S 3, D 6] f32 {prompt} to_k
      output state.to_k = %3

      step: 
      graph g/step
      %0 = input time [1] f32 {step} time
      %1 = scale(%0) {factor: 1000} [1] f32 {step} mod.ms
      %2 = timestep_embedding(%1) {dim: 4, flip: false, shift: 0, scale: 1, maxPeriod: 10000} [D 4] f32 {step} mod.time
      %3 = param mod.linear.weight[12, 4] [12, 4] f32 mod.linear.weight
      %4 = param mod.linear.bias[12] [12] f32 mod.linear.bias
      %5 = linear(%2, %3, %4) [D 12] f32 {step} mod.linear
      output state.mod.linear = %5

      row: state.mod.linear,state.to_k
      graph g/row
      %0 = input x [L 4, D 6] f32 {latent} x
      %1 = input state.mod.linear [D 12] f32 {step} state.mod.linear
      %2 = reshape(%1) {shape: [2, 6], axes: "s D"} [s 2, D 6] f32 {step} mod
      %3 = slice(%2) {axis: 0, start: 0, size: 1} [s 1, D 6] f32 {step} mod.shift
      %4 = slice(%2) {axis: 0, start: 1, size: 1} [s 1, D 6] f32 {step} mod.scale
      %5 = modulate(%0, %3, %4) [L 4, D 6] f32 {step+latent} x.mod
      %6 = input state.to_k [S 3, D 6] f32 {prompt} state.to_k
      %7 = input text [S 3, D 6] f32 {prompt} text
      %8 = attention(%5, %6, %7) {heads: 2, causal: false, scale: 0.5773502691896258} [L 4, D 6] f32 {prompt+step+latent} attn
      output y = %8
      "
    `)
  })
  test('what needs both prompt and step has a part of its own', () => {
    const both = ops.add(
      'both',
      dense('pooled', ops.slice('first', text, 0, 0, 1), 6),
      ops.slice('shift', shift, 0, 0, 1),
    )
    const parts = cut(graph('g', { y: ops.add('y', x, dense('both.linear', both, 6)) }))
    expect(parts.map((part) => part.set)).toEqual(['prompt', 'step', 'prompt+step', 'row'])
    expect([...(parts[2]?.states ?? [])].toSorted()).toEqual(['state.mod.linear', 'state.pooled'])
    expect([...(parts[3]?.states ?? [])]).toEqual(['state.both.linear'])
  })
  test('a graph of one set is one row part', () => {
    expect(cut(graph('g', { y: dense('a', text, 3) })).map((part) => part.set)).toEqual(['row'])
  })
  test('inputs and views of inputs are no states', () => {
    const parts = cut(graph('g', { y: ops.add('y', x, ops.slice('row', text, 0, 1, 1)) }))
    expect(parts.map((part) => [part.set, [...part.states]])).toEqual([['row', []]])
  })
  test('constants stay with who reads them', () => {
    const constant = ops.relu('constant', weight('table', [3, 6]))
    const parts = cut(graph('g', { y: ops.attention('attn', x, ops.add('k', constant, text), constant, { heads: 1 }) }))
    expect(
      parts.map((part) => [part.set, part.graph.values.filter((value) => value.at === 'constant').length]),
    ).toEqual([
      ['prompt', 1],
      ['row', 1],
    ])
  })
  test('an output of an earlier part is copied by the row part', () => {
    const parts = cut(graph('g', { k: dense('k', text, 6), y: ops.relu('y', x) }))
    expect(parts.map((part) => part.set)).toEqual(['prompt', 'row'])
    expect(Object.keys(parts[1]?.graph.outputs ?? {})).toEqual(['k', 'y'])
  })
  test('two values of one path have two names', () => {
    const k = dense('same', text, 6)
    const parts = cut(graph('g', { y: ops.attention('attn', x, k, ops.relu('same', k), { heads: 1 }) }))
    expect(Object.keys(parts[0]?.graph.outputs ?? {})).toEqual(['state.same', 'state.same~2'])
  })
})

describe('programs', () => {
  test('activation, gate and residual ride in the gemm', async () => {
    const gate = input('gate', 'latent', { shape: [6], dtype: 'f32', axes: ['D'] })
    const mlp = dense('ff.2', ops.geluTanh('ff.act', dense('ff.0', x, 8)), 6)
    expect(await programOf({ y: ops.add('residual', x, ops.mul('gated', mlp, gate)) })).toMatchInlineSnapshot(`
      "
      program g/row: arena 128
      p0 gemm f32 [8, 6] ff.0.weight[8, 6]
      p1 plain f32 [8] ff.0.bias[8]
      p2 gemm f32 [6, 8] ff.2.weight[6, 8]
      p3 plain f32 [6] ff.2.bias[6]
      b0 f32 [4, 6] input 0 x
      b1 f32 [6] input 1 gate
      b2 f32 [4, 6] output 0 y
      b3 f32 [8, 6] param 0 ff.0.weight
      b4 f32 [8] param 1 ff.0.bias
      b5 f32 [4, 8] arena @0 ff.act
      b6 f32 [6, 8] param 2 ff.2.weight
      b7 f32 [6] param 3 ff.2.bias
      input x b0
      input gate b1
      output y b2
      matmul b5 = (b0, b3, b4) {splits 1, kBlock 6, strassen 0, quantizeX 0} gelu_tanh at ff.0
      matmul b2 = (b5, b6, b7) {splits 1, kBlock 8, strassen 0, quantizeX 0} mul b1; add b0 at ff.2
      "
    `)
  })
  test('norm and modulation are one step; a gemm gets the network type', async () => {
    const shift = input('shift', 'latent', { shape: [6], dtype: 'f32', axes: ['D'] })
    const normal = ops.modulate('mod', ops.layerNorm('norm', x, { eps: 1e-6 }), shift, shift)
    expect(
      await programOf({ y: dense('out', normal, 2), z: dense('raw', x, 2) }, { dtype: 'bf16' }),
    ).toMatchInlineSnapshot(`
      "
      program g/row: arena 64
      p0 gemm bf16 [2, 6] out.weight[2, 6]
      p1 plain f32 [2] out.bias[2]
      p2 gemm bf16 [2, 6] raw.weight[2, 6]
      p3 plain f32 [2] raw.bias[2]
      b0 f32 [4, 6] input 0 x
      b1 f32 [6] input 1 shift
      b2 f32 [4, 2] output 0 y
      b3 f32 [4, 2] output 1 z
      b4 bf16 [4, 6] arena @0 mod
      b5 bf16 [2, 6] param 0 out.weight
      b6 f32 [2] param 1 out.bias
      b7 bf16 [4, 6] arena @0 x
      b8 bf16 [2, 6] param 2 raw.weight
      b9 f32 [2] param 3 raw.bias
      input x b0
      input shift b1
      output y b2
      output z b3
      layer_norm b4 = (b0, -, -) {eps 0.000001} mul_one_plus b1; add b1 at norm
      matmul b2 = (b4, b5, b6) {splits 1, kBlock 6, strassen 0, quantizeX 0} at out
      elementwise b7 = (b0) at x
      matmul b3 = (b7, b8, b9) {splits 1, kBlock 6, strassen 0, quantizeX 0} at raw
      "
    `)
  })
  test('producers write into a join', async () => {
    const joined = ops.concat('skip', [ops.relu('a', x), dense('b', x, 2), x], -1)
    expect(await programOf({ y: dense('out', joined, 2) })).toMatchInlineSnapshot(`
      "
      program g/row: arena 256
      p0 gemm f32 [2, 6] b.weight[2, 6]
      p1 plain f32 [2] b.bias[2]
      p2 gemm f32 [2, 14] out.weight[2, 14]
      p3 plain f32 [2] out.bias[2]
      b0 f32 [4, 6] input 0 x
      b1 f32 [4, 2] output 0 y
      b2 f32 [4, 14] arena @0 skip
      b3 f32 [4, 6] pitch 14 view b2 +0 skip
      b4 f32 [2, 6] param 0 b.weight
      b5 f32 [2] param 1 b.bias
      b6 f32 [4, 2] pitch 14 view b2 +24 skip
      b7 f32 [4, 6] pitch 14 view b2 +32 skip
      b8 f32 [2, 14] param 2 out.weight
      b9 f32 [2] param 3 out.bias
      input x b0
      output y b1
      elementwise b3 = (b0) relu at a
      matmul b6 = (b0, b4, b5) {splits 1, kBlock 6, strassen 0, quantizeX 0} at b
      elementwise b7 = (b0) at skip
      matmul b1 = (b2, b8, b9) {splits 1, kBlock 14, strassen 0, quantizeX 0} at out
      "
    `)
  })
  test('an elementwise op writes over its dying operand', async () => {
    const a = ops.softmax('a', dense('proj', x, 6))
    const y = ops.add(
      'sum',
      ops.softmax('again', ops.relu('act', ops.concat('both', [a, a], 0))),
      weight('table', [8, 6]),
    )
    expect(await programOf({ y: ops.softmax('last', y) })).toMatchInlineSnapshot(`
      "
      program g/row: arena 320
      p0 gemm f32 [6, 6] proj.weight[6, 6]
      p1 plain f32 [6] proj.bias[6]
      p2 plain f32 [8, 6] table[8, 6]
      b0 f32 [4, 6] input 0 x
      b1 f32 [8, 6] output 0 y
      b2 f32 [8, 6] arena @0 both
      b3 f32 [6, 6] param 0 proj.weight
      b4 f32 [6] param 1 proj.bias
      b5 f32 [4, 6] arena @192 proj
      b6 f32 [4, 6] arena @192 a
      b7 f32 [4, 6] view b2 +0 both
      b8 f32 [4, 6] view b2 +96 both
      b9 f32 [8, 6] arena @0 act
      b10 f32 [8, 6] param 2 table
      b11 f32 [8, 6] arena @0 sum
      input x b0
      output y b1
      matmul b5 = (b0, b3, b4) {splits 1, kBlock 6, strassen 0, quantizeX 0} at proj
      softmax b6 = (b5) at a
      elementwise b7 = (b6) at both
      elementwise b8 = (b6) at both
      elementwise b9 = (b2) relu at act
      softmax b11 = (b9) add b10 at again
      softmax b1 = (b11) at last
      "
    `)
  })
  test('rows that products alone read do not crowd a cache', async () => {
    const wide = ops.silu('act', dense('up', x, 512))
    const apart = await programOf({ y: dense('down', wide, 6) })
    expect(apart).toContain('f32 [4, 528] arena @0 act')
    expect(apart).toMatch(/f32 \[4, 512\] pitch 528 view/)
    // An output, too: somebody else reads them.
    expect(await programOf({ y: dense('down', wide, 6), wide })).toContain('f32 [4, 512] arena @0 act')
  })
  test('the plain form has one step per op and no views of slices', async () => {
    const y = ops.relu('act', ops.slice('half', dense('proj', x, 6), -1, 3, 3))
    expect(await programOf({ y }, { optimise: false, dtype: 'bf16' })).toMatchInlineSnapshot(`
      "
      program g: arena 128
      p0 gemm bf16 [6, 6] proj.weight[6, 6]
      p1 plain f32 [6] proj.bias[6]
      b0 f32 [4, 6] input 0 x
      b1 f32 [4, 3] output 0 y
      b2 bf16 [4, 6] arena @0 x
      b3 bf16 [6, 6] param 0 proj.weight
      b4 f32 [6] param 1 proj.bias
      b5 bf16 [4, 6] arena @64 proj
      b6 bf16 [4, 3] arena @0 half
      b7 bf16 [4, 3] arena @64 act
      input x b0
      output y b1
      elementwise b2 = (b0) at x
      matmul b5 = (b2, b3, b4) {splits 1, kBlock 6, strassen 0, quantizeX 0} at proj
      strided_copy b6 = (b5) {offset 3, rank 2, 4, 3, 6, 1} at half
      elementwise b7 = (b6) relu at act
      elementwise b1 = (b7) at act
      "
    `)
  })
  test('weights of several shapes of one recipe are one pack', async () => {
    const shared = weight('shared', [6, 6])
    const { parts } = await compile(graph('g', { y: ops.linear('b', ops.linear('a', x, shared), shared) }), ORACLE)
    expect(parts[0]?.payload.program.params).toHaveLength(1)
  })
})
