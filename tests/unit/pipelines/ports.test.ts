import { describe, expect, it } from 'vitest'
import type { ModelPorts } from '../../../src/models'
import { modelDefinition } from '../../../src/models'
import { bindInputs, type ComponentInput, gatherOutputs } from '../../../src/pipelines/ports'

const PORTS: ModelPorts = {
  inputs: [
    { kind: 'picture', name: 'hidden_states', aliases: ['sample'], input: 'x', axes: [2, 'height', 'width'] },
    { kind: 'timestep', name: 'timestep', input: 't', axes: [] },
    { kind: 'numbers', name: 'encoder_hidden_states', input: 'text', axes: ['textLength', 3] },
    { kind: 'prefixMask', name: 'encoder_attention_mask', input: 'length', axes: ['textLength'] },
    { kind: 'numbers', name: 'added_cond_kwargs.resolution', aliases: ['resolution'], input: 'resolution', axes: [2] },
    {
      kind: 'ids',
      name: 'class_labels',
      input: 'label',
      axes: [],
      below: 5,
      derive: { input: 'next', from: (ids) => (ids[0] ?? 0) + 1 },
    },
  ],
  outputs: [],
  smallest: {},
}

const real = (shape: number[], ...data: number[]) => ({ dtype: 'f32', shape, data: Float32Array.from(data) }) as const
const zeros = (...shape: number[]) => real(shape, ...Array(shape.reduce((a, b) => a * b, 1)).fill(0))

const good: Record<string, ComponentInput> = {
  sample: real([2, 2, 1, 2], 1, 2, 3, 4, 5, 6, 7, 8),
  timestep: 9,
  encoder_hidden_states: zeros(2, 4, 3),
  resolution: Float32Array.of(1, 2, 3, 4),
  class_labels: { dtype: 'i64', shape: [2], data: BigInt64Array.of(4n, 0n) },
}

const bind = (changes: Record<string, ComponentInput | undefined> = {}) =>
  bindInputs(
    'net',
    PORTS,
    Object.fromEntries(Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined)) as Record<
      string,
      ComponentInput
    >,
  )

describe('bindInputs', () => {
  it('splits rows, turns pictures, finds sizes', () => {
    const { sizes, rows } = bind()
    expect(sizes).toEqual({ height: 1, width: 2, textLength: 4 })
    expect(rows[0]?.inputs).toEqual({
      x: Float32Array.of(1, 3, 2, 4),
      t: Float32Array.of(9),
      text: new Float32Array(12),
      length: Int32Array.of(4),
      resolution: Float32Array.of(1, 2),
      label: Int32Array.of(4),
      next: Int32Array.of(5),
    })
    expect(rows[1]?.inputs).toMatchObject({
      x: Float32Array.of(5, 7, 6, 8),
      t: Float32Array.of(9),
      label: Int32Array.of(0),
    })
  })

  it.each([
    ['one number', 9],
    ['a scalar', real([], 9)],
    ['one in a list', { dtype: 'i64', shape: [1], data: BigInt64Array.of(9n) }],
    ['one per row', real([2], 9, 9)],
    ['a bare array', Float32Array.of(9, 9)],
  ] as [string, ComponentInput][])('takes a timestep as %s', (_how, timestep) => {
    for (const row of bind({ timestep }).rows) expect(row.inputs.t).toEqual(Float32Array.of(9))
  })

  it('reads halves and masks of any type', () => {
    const { rows } = bind({
      sample: { dtype: 'bf16', shape: [2, 2, 1, 2], data: Uint16Array.of(0x3f80, 0xbf80, 0, 0, 0, 0, 0, 0x4000) },
      encoder_hidden_states: { dtype: 'f16', shape: [2, 4, 3], data: Uint16Array.from({ length: 24 }, () => 0x3800) },
      encoder_attention_mask: { dtype: 'u8', shape: [2, 4], data: Uint8Array.of(1, 1, 0, 0, 1, 1, 1, 1) },
    })
    expect(rows[0]?.inputs.x).toEqual(Float32Array.of(1, 0, -1, 0))
    expect(rows[0]?.inputs.text).toEqual(new Float32Array(12).fill(0.5))
    expect(rows.map((row) => row.inputs.length)).toEqual([Int32Array.of(2), Int32Array.of(4)])
  })

  it.each([
    ['an unknown name', { latents: 1 }, 'unknown-input'],
    ['one input under two names', { hidden_states: zeros(2, 2, 1, 2) }, 'unknown-input'],
    ['a missing one', { encoder_hidden_states: undefined }, 'missing-input'],
    ['other channels', { sample: zeros(2, 3, 1, 2) }, 'shape-mismatch'],
    ['another rank', { sample: zeros(2, 2, 2) }, 'shape-mismatch'],
    ['other rows', { encoder_hidden_states: zeros(3, 4, 3) }, 'shape-mismatch'],
    ['no rows', { sample: zeros(0, 2, 1, 2) }, 'shape-mismatch'],
    ['an empty picture', { sample: zeros(2, 2, 0, 2) }, 'shape-mismatch'],
    ['a mask of another length', { encoder_attention_mask: zeros(2, 5) }, 'shape-mismatch'],
    ['too many timesteps', { timestep: zeros(3) }, 'shape-mismatch'],
    [
      'data of another size',
      { sample: { dtype: 'f32', shape: [2, 2, 1, 2], data: new Float32Array(7) } },
      'shape-mismatch',
    ],
    ['a bare array where sizes are free', { sample: new Float32Array(8) }, 'shape-mismatch'],
    ['a bare array that is no rows', { resolution: new Float32Array(3) }, 'shape-mismatch'],
    ['a number for a picture', { sample: 3 }, 'shape-mismatch'],
    ['16 bits without a dtype', { sample: { shape: [2, 2, 1, 2], data: new Uint16Array(8) } }, 'dtype-mismatch'],
    [
      'an array of another type',
      { sample: { dtype: 'f32', shape: [2, 2, 1, 2], data: new Int32Array(8) } },
      'dtype-mismatch',
    ],
    ['real numbers as ids', { class_labels: zeros(2) }, 'dtype-mismatch'],
    ['no tensor', { sample: 'x' as never }, 'invalid-argument'],
    ['null', { sample: null as never }, 'invalid-argument'],
    ['a negative size', { sample: { dtype: 'f32', shape: [-2, 2], data: new Float32Array(0) } }, 'invalid-argument'],
    ['NaN as timestep', { timestep: Number.NaN }, 'invalid-argument'],
    ['infinity among timesteps', { timestep: real([2], 1, Number.POSITIVE_INFINITY) }, 'invalid-argument'],
    [
      'an id out of range',
      { class_labels: { dtype: 'i32', shape: [2], data: Int32Array.of(0, 5) } },
      'invalid-argument',
    ],
    ['a negative id', { class_labels: { dtype: 'i32', shape: [2], data: Int32Array.of(-1, 0) } }, 'invalid-argument'],
    [
      'an id beyond 32 bits',
      { class_labels: { dtype: 'i64', shape: [2], data: BigInt64Array.of(2n ** 32n, 0n) } },
      'invalid-argument',
    ],
    ['half a class', { class_labels: 0.5 }, 'invalid-argument'],
    ['a mask with a gap', { encoder_attention_mask: real([2, 4], 1, 1, 1, 1, 1, 0, 1, 0) }, 'invalid-argument'],
    ['a mask of nothing', { encoder_attention_mask: real([2, 4], 1, 1, 1, 1, 0, 0, 0, 0) }, 'invalid-argument'],
    ['a mask that is no mask', { encoder_attention_mask: real([2, 4], 1, 1, 1, 1, 0.5, 0, 0, 0) }, 'invalid-argument'],
  ] as [string, Record<string, ComponentInput | undefined>, string][])('refuses %s', (_what, changes, code) => {
    let error: unknown
    try {
      bind(changes)
    } catch (caught) {
      error = caught
    }
    expect(error).toMatchObject({ name: 'EngineError', code })
    expect(String(error)).toMatch(/net: .*(expected|missing)/)
  })
})

describe('forms, axes that follow others, factors', () => {
  const ports: ModelPorts = {
    inputs: [
      { kind: 'picture', name: 'sample', input: 'x', axes: [1, 'height', 'width'] },
      {
        kind: 'picture',
        name: 'hint',
        input: 'hint',
        axes: [1, { of: 'height', times: 2 }, { of: 'width', times: 2 }],
      },
      { kind: 'factors', name: 'scale', input: 'scale', axes: [3] },
      ...['a', 'b'].map((name) => ({
        kind: 'picture' as const,
        name,
        input: name,
        axes: [1, { of: 'height' as const, times: 0.5 }, 1] as const,
        form: 'controlled' as const,
      })),
    ],
    outputs: [],
    smallest: {},
  }
  const inputs: Record<string, ComponentInput> = { sample: zeros(2, 1, 3, 1), hint: zeros(2, 1, 6, 2) }
  const bound = (more: Record<string, ComponentInput>) => bindInputs('net', ports, { ...inputs, ...more })
  const scales = (more: Record<string, ComponentInput>) => bound(more).rows.map((row) => row.inputs.scale)

  it('knows the form from what was given', () => {
    expect(bound({})).toMatchObject({ form: 'plain', sizes: { height: 3, width: 1 } })
    const controlled = bound({ a: zeros(2, 1, 2, 1), b: zeros(2, 1, 2, 1) })
    expect(controlled.form).toBe('controlled')
    expect(Object.keys(controlled.rows[0]?.inputs ?? {})).toEqual(['x', 'hint', 'scale', 'a', 'b'])
    expect(() => bound({ a: zeros(2, 1, 2, 1) })).toThrow(/expected sample, hint, a, b, missing b/)
  })

  it('rounds sizes that follow others up', () => {
    expect(() => bound({ a: zeros(2, 1, 1, 1), b: zeros(2, 1, 2, 1) })).toThrow(/net: a: expected \[2, 1, 2, 1\], got/)
    expect(() => bound({ hint: zeros(2, 1, 5, 2) })).toThrow(/net: hint: expected \[2, 1, 6, 2\], got/)
  })

  it.each([
    [
      'nothing',
      {},
      [
        [1, 1, 1],
        [1, 1, 1],
      ],
    ],
    [
      'a number',
      { scale: 0.5 },
      [
        [0.5, 0.5, 0.5],
        [0.5, 0.5, 0.5],
      ],
    ],
    [
      'one per row',
      { scale: Float32Array.of(2, 3) },
      [
        [2, 2, 2],
        [3, 3, 3],
      ],
    ],
    [
      'one per row and place',
      { scale: real([2, 3], 1, 2, 3, 4, 5, 6) },
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ],
  ] as [string, Record<string, ComponentInput>, number[][]][])('takes factors as %s', (_how, more, want) => {
    expect(scales(more).map((row) => [...(row as Float32Array)])).toEqual(want)
  })

  it.each([
    ['as many as places for two rows', { scale: Float32Array.of(1, 2, 3) }, 'shape-mismatch'],
    ['other places', { scale: real([2, 2], 1, 2, 3, 4) }, 'shape-mismatch'],
    ['NaN', { scale: Number.NaN }, 'invalid-argument'],
  ] as [string, Record<string, ComponentInput>, string][])('refuses factors: %s', (_what, more, code) => {
    expect(() => bound(more)).toThrow(expect.objectContaining({ code }))
  })
})

it('gathers outputs with the framework’s axes', () => {
  const definition = modelDefinition('SRVGGNetCompact')
  const { graph, outputs } = definition.build(
    { upscale: 1, num_conv: 0, num_feat: 1 },
    { component: 'up' },
    { height: 1, width: 2 },
  )
  const rows = [{ sample: Float32Array.of(1, 2, 3, 4, 5, 6) }, { sample: Float32Array.of(7, 8, 9, 10, 11, 12) }]
  expect(gatherOutputs(outputs, graph, rows).sample).toEqual({
    dtype: 'f32',
    shape: [2, 3, 1, 2],
    data: Float32Array.of(1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12),
  })
})
