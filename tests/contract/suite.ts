/** The contract suite: every op on one device against the reference device, and the reference against float64. */

import { afterAll, describe, expect, test } from 'vitest'
import type { Device, DeviceOptions } from '../../src/bindings'
import { type CompileOptions, compile, type NetworkDType } from '../../src/compile'
import { isProduct } from '../../src/compile/stepCost'
import type { Graph } from '../../src/graph/graph'
import { graphInputs } from '../../src/graph/graph'
import { opDefinitions } from '../../src/graph/op'
import { isInt8 } from '../../src/tensor/dtype'
import { elements } from '../../src/tensor/shape'
import { ALL_CASES, type OpCase, type OpCases } from '../cases'
import { type CaseRow, caseGraph, caseName, caseRow, chainGraph, chainName } from '../cases/build'
import { CONV_FORMS, convFormGraph, convFormName } from '../cases/convForms'
import { CHAINS, LAUNCHES } from '../cases/epilogue'
import { INT8, int8Graph, int8Name, wholeNumbers } from '../cases/int8'
import { STRASSEN, strassenGraph } from '../cases/strassen'
import { expectClose, type Tolerance } from '../oracle/compare'
import { interpretGraph } from '../oracle/interpret'
import { normals } from '../oracle/random'

/** Rows of a run: more than one, so that rows must keep apart. */
const ROWS = 3
/** Float32 values of NaN before and behind everything a run is handed. */
const GUTTER = 16

/** Half the distance from 1 to the next number. */
const EPSILON: Readonly<Record<NetworkDType, number>> = { f32: 2 ** -24, bf16: 2 ** -8, f16: 2 ** -11 }

type Bindings = typeof import('../../src/bindings')

/** Opens a device, or says why it cannot be had. */
export function tryOpen(bindings: Bindings, options: DeviceOptions): Device | string {
  try {
    return bindings.openDevice(options)
  } catch (error) {
    if (
      error instanceof Error &&
      'code' in error &&
      (error.code === 'unavailable-device' || error.code === 'unavailable-binding')
    ) {
      return error.message.split('\n')[0] ?? error.message
    }
    throw error
  }
}

/** A program's outputs for each row, run between gutters of NaN that must stay as they are. */
async function runRows(
  bindings: Bindings,
  device: Device,
  g: Graph,
  dtype: NetworkDType,
  optimise: boolean,
  rows: readonly CaseRow[],
  capabilities = device.capabilities,
  quantize: CompileOptions['quantize'] = 'none',
): Promise<Record<string, Float32Array>[]> {
  const { parts } = await compile(g, capabilities, { dtype, optimise, quantize, cut: false })
  const [part] = parts
  if (!part) throw new Error('a program')
  const weights = new bindings.DeviceWeights(device, { tensors: new Map(), identity: 'none' })
  try {
    const executable = await bindings.loadExecutable(device, part, weights)
    try {
      const shapes = new Map(part.signature.outputs.map(({ name, shape }) => [name, elements(shape)]))
      const outputs = Object.fromEntries([...shapes].map(([name, count]) => [name, rows.map(() => guttered(count))]))
      const inputs = Object.fromEntries(graphInputs(g).map(({ at }) => [at, rows.map((row) => inGutter(row[at]))]))
      await executable.run({
        rows: rows.length,
        inputs,
        outputs: Object.fromEntries(
          Object.entries(outputs).map(([name, values]) => [name, values.map((value) => value.inside)]),
        ),
      })
      for (const values of Object.values(outputs)) for (const value of values) value.expectIntact()
      return rows.map((_, row) =>
        Object.fromEntries(
          Object.entries(outputs).map(([name, values]) => [name, values[row]?.inside ?? new Float32Array()]),
        ),
      )
    } finally {
      executable.dispose()
    }
  } finally {
    weights.dispose()
  }
}

/** Room for `count` values between gutters; everything starts as NaN. */
function guttered(count: number): { inside: Float32Array; expectIntact(): void } {
  const whole = new Float32Array(count + 2 * GUTTER).fill(Number.NaN)
  return {
    inside: whole.subarray(GUTTER, GUTTER + count),
    expectIntact: () => {
      const outside = [...whole.subarray(0, GUTTER), ...whole.subarray(GUTTER + count)]
      expect(outside.every(Number.isNaN), 'values outside the output').toBe(true)
    },
  }
}

/** The same values with NaN around them; integers have -1 there, which no op accepts as an id. */
function inGutter(values: Float32Array | Int32Array | undefined): Float32Array | Int32Array {
  if (!values) throw new Error('an input')
  const whole =
    values instanceof Int32Array
      ? new Int32Array(values.length + 2 * GUTTER).fill(-1)
      : new Float32Array(values.length + 2 * GUTTER).fill(Number.NaN)
  whole.set(values, GUTTER)
  return whole.subarray(GUTTER, GUTTER + values.length)
}

/** What two kernels of one op may differ by; see {@link OpCases.reduction}. */
function tolerance(cases: OpCases, one: OpCase, dtype: NetworkDType, stored: boolean): Tolerance {
  const terms = cases.reduction(one.operands, one.attrs ?? {})
  const inside = cases.roundsInside ? 2 * EPSILON[dtype] : 0
  return {
    absolute: 4 * EPSILON.f32 * terms * (cases.term ?? 1) + inside,
    // Both round the stored result once, to neighbours at worst.
    relative: 8 * EPSILON.f32 + (stored ? 2 * EPSILON[dtype] : 0),
  }
}

/** Which programs an op is tried in. */
const FORMS: readonly { readonly dtype: NetworkDType; readonly stored: boolean; readonly optimise: boolean }[] = [
  { dtype: 'f32', stored: false, optimise: true },
  { dtype: 'f32', stored: true, optimise: false },
  { dtype: 'bf16', stored: true, optimise: true },
  { dtype: 'bf16', stored: false, optimise: true },
  { dtype: 'f16', stored: true, optimise: true },
]

/** Registers the suite for one device. `reference` is compared with float64, any other device with `reference`. */
export function describeOps(title: string, bindings: Bindings, options: DeviceOptions): void {
  const device = tryOpen(bindings, options)
  if (typeof device === 'string') {
    console.log(`skipped: contract suite on ${title}: ${device}`)
    describe.skip(`${title} (${device})`, () => test('is not available here', () => undefined))
    return
  }
  const reference = bindings.openDevice({ device: 'reference' })
  afterAll(() => {
    device.dispose()
    reference.dispose()
  })

  describe(title, () => {
    test('every op has cases', () => {
      expect(new Set(ALL_CASES.map((cases) => cases.op))).toEqual(
        new Set(opDefinitions().map((definition) => definition.name)),
      )
    })

    for (const cases of ALL_CASES) {
      describe(cases.op, () => {
        for (const one of cases.cases) {
          test(caseName(one), async () => {
            const rows = Array.from({ length: ROWS }, (_, row) => caseRow(cases.op, one, row))
            for (const { dtype, stored, optimise } of FORMS) {
              if (!device.capabilities.dtypes.includes(dtype)) continue
              const g = caseGraph(cases.op, one, stored)
              const got = await runRows(bindings, device, g, dtype, optimise, rows)
              const allowed = tolerance(cases, one, dtype, stored)
              const oracle = options.device === 'reference'
              if (oracle && dtype !== 'f32') continue // that it runs; rounding to small types is its own business
              const want = oracle
                ? rows.map((row) => interpretGraph(g, row))
                : await runRows(bindings, reference, g, dtype, optimise, rows)
              got.forEach((outputs, row) => {
                for (const [name, values] of Object.entries(outputs)) {
                  const expected = want[row]?.[name]
                  if (!expected) throw new Error(`no ${name}`)
                  expectClose(
                    `${cases.op} ${dtype}${stored ? ' stored' : ''} ${name} row ${row}`,
                    values,
                    'data' in expected ? expected.data : expected,
                    allowed,
                  )
                }
              })
            }
          })
        }
      })
    }

    for (const one of LAUNCHES) {
      const { op } = one
      test(`${op} ${caseName(one)} with every epilogue`, async () => {
        const cases = ALL_CASES.find((each) => each.op === op)
        if (!cases) throw new Error(`no cases of ${op}`)
        for (const chain of CHAINS) {
          for (const dtype of ['f32', 'bf16'] as const) {
            if (!device.capabilities.dtypes.includes(dtype)) continue
            const { graph: g, extra } = chainGraph(op, one, chain, false)
            const rows = Array.from({ length: ROWS }, (_, row) => ({
              ...caseRow(op, one, row),
              ...Object.fromEntries(
                Object.entries(extra).map(([name, shape]) => [
                  name,
                  normals(`${name}.${row}.${shape}`, elements(shape)),
                ]),
              ),
            }))
            const { parts } = await compile(g, device.capabilities, { dtype, cut: false })
            const fused = parts[0]?.payload.program.steps.at(-1)
            expect(fused?.epilogue, `${op}: one launch of ${chainName(chain)}`).toHaveLength(chain.length)
            const got = await runRows(bindings, device, g, dtype, true, rows)
            const oracle = options.device === 'reference'
            if (oracle && dtype !== 'f32') continue
            const want = oracle
              ? rows.map((row) => interpretGraph(g, row))
              : await runRows(bindings, reference, g, dtype, true, rows)
            const { absolute, relative } = tolerance(cases, one, dtype, false)
            // Slopes are a few units at most, or the value itself, where exp is in the chain.
            const allowed = { absolute: 16 * absolute, relative: 2 * relative + 16 * absolute }
            got.forEach(({ y = new Float32Array() }, row) => {
              const expected = want[row]?.y
              if (!expected) throw new Error('no y')
              expectClose(
                `${op} ${dtype} then ${chainName(chain)}, row ${row}`,
                y,
                'data' in expected ? expected.data : expected,
                allowed,
              )
            })
          }
        }
      })
    }

    for (const one of CONV_FORMS) {
      test(`conv2d ${convFormName(one)}`, async () => {
        const { upsampledConv2d, winogradTiles } = device.capabilities
        if (options.device === 'reference') {
          expect([upsampledConv2d, winogradTiles]).toEqual([false, []]) // the oracle stays the definition
          return
        }
        const g = convFormGraph(one)
        const rows = [0, 1, 2].map((row) => ({ x: normals(`conv_forms.${row}`, elements(one.x)) }))
        for (const dtype of ['f32', 'bf16', 'f16'] as const) {
          const capabilities = { ...device.capabilities, winogradTiles: one.tile ? [one.tile] : [] }
          const { parts } = await compile(g, capabilities, { dtype, cut: false })
          const steps = parts[0]?.payload.program.steps ?? []
          const conv = steps.find(({ kernel }) => kernel === 'conv2d')
          const tile = capabilities.winogradDtypes.includes(dtype) ? (one.tile ?? 0) : 0
          expect(conv?.attrs.slice(-3, -1), dtype).toEqual([one.doubled ? 2 : 1, tile])
          expect(steps.some(({ kernel }) => kernel === 'resize_nearest')).toBe(false)
          const got = await runRows(bindings, device, g, dtype, true, rows, capabilities)
          const want = await runRows(bindings, reference, g, dtype, true, rows)
          const terms = 9 * (one.x[2] ?? 0)
          // Folded weights are rounded to their type once more; F(4 x 4) has twice the error of a plain sum.
          const folded = one.doubled && dtype !== 'f32' ? EPSILON[dtype] * Math.sqrt(terms) * 4 : 0
          const allowed = { absolute: 8 * EPSILON.f32 * terms + folded, relative: 2 * EPSILON[dtype] + 8 * EPSILON.f32 }
          got.forEach((outputs, row) => {
            expectClose(`${dtype} row ${row}`, outputs.y ?? [], want[row]?.y ?? [], allowed)
          })
          const [alone] = await runRows(bindings, device, g, dtype, true, rows.slice(1, 2), capabilities)
          expect(bits(alone)).toEqual(bits(got[1]))
        }
      })
    }

    test('a matmul by Strassen', async () => {
      const { strassenDtypes } = device.capabilities
      if (options.device === 'reference') {
        expect(strassenDtypes).toEqual([])
        return
      }
      const g = strassenGraph()
      const [, terms] = STRASSEN.x
      const rows = [0, 1].map((row) => ({ x: normals(`strassen.${row}`, elements(STRASSEN.x)) }))
      for (const dtype of strassenDtypes as NetworkDType[]) {
        const { parts } = await compile(g, device.capabilities, { dtype, cut: false })
        expect(parts[0]?.payload.program.steps.at(-1)?.attrs).toEqual([1, terms, 1, 0])
        const got = await runRows(bindings, device, g, dtype, true, rows)
        const want = await runRows(bindings, reference, g, dtype, true, rows)
        // Sums of a few hundred terms of 0.1, four times as large in a product of sums.
        const allowed = { absolute: EPSILON.f32 * terms, relative: 2 * EPSILON[dtype] + 8 * EPSILON.f32 }
        got.forEach((outputs, row) => {
          expectClose(`${dtype} row ${row}`, outputs.y ?? [], want[row]?.y ?? [], allowed)
        })
        const [alone] = await runRows(bindings, device, g, dtype, true, rows.slice(1), device.capabilities)
        expect(bits(alone)).toEqual(bits(got[1]))
      }
    })

    for (const one of INT8) {
      test(`${int8Name(one)} over int8`, async () => {
        const g = int8Graph(one)
        const rows = Array.from({ length: ROWS }, (_, row) => ({ x: wholeNumbers(`int8.${row}`, one.x) }))
        const terms = one.channels * (one.kernel ?? 1) ** 2
        for (const [quantize, int8Sums] of [
          ['int8', 32],
          ['int8', 16],
          ['int8-weights', 32],
        ] as const) {
          for (const dtype of ['f32', 'bf16', 'f16'] as const) {
            const able = (of: Device) => ({ ...of.capabilities, int8Products: ['matmul', 'conv2d'] as const, int8Sums })
            const { parts } = await compile(g, able(device), { dtype, quantize, cut: false })
            const products = parts[0]?.payload.program.steps.filter(({ kernel }) => isProduct(kernel))
            expect(products?.map(({ attrs }) => attrs.at(-1))).toEqual([0, quantize === 'int8' ? int8Sums : 0, 0])
            expect(parts[0]?.signature.params.filter(({ dtype }) => isInt8(dtype))).toHaveLength(1)
            const got = await runRows(bindings, device, g, dtype, true, rows, able(device), quantize)
            const want = await runRows(bindings, reference, g, dtype, true, rows, able(reference), quantize)
            // Sums over int8 are exact; of weights alone, with integers up to 127, they have the usual error.
            const size = Math.sqrt(terms) * 4
            const absolute = (quantize === 'int8' ? 16 : 4 * terms) * EPSILON.f32 * size
            const allowed = { absolute, relative: 2 * EPSILON[dtype] + 8 * EPSILON.f32 }
            got.forEach((outputs, row) => {
              expectClose(`${quantize} ${dtype} row ${row}`, outputs.y ?? [], want[row]?.y ?? [], allowed)
            })
            const [alone] = await runRows(bindings, device, g, dtype, true, rows.slice(1, 2), able(device), quantize)
            expect(bits(alone)).toEqual(bits(got[1]))
          }
        }
      })
    }

    test('a row alone has the bits it has among others', async () => {
      for (const cases of ALL_CASES) {
        for (const one of cases.cases.slice(-3)) {
          const rows = Array.from({ length: 5 }, (_, row) => caseRow(cases.op, one, row))
          const g = caseGraph(cases.op, one, true)
          const dtype = device.capabilities.preferredDtype as NetworkDType
          const together = await runRows(bindings, device, g, dtype, true, rows)
          for (const row of [0, 4]) {
            const alone = await runRows(bindings, device, g, dtype, true, rows.slice(row, row + 1))
            expect(bits(alone[0]), `${cases.op} ${caseName(one)} row ${row}`).toEqual(bits(together[row]))
          }
        }
      }
    })
  })
}

function bits(outputs: Readonly<Record<string, Float32Array>> | undefined): Record<string, Uint32Array> {
  return Object.fromEntries(
    Object.entries(outputs ?? {}).map(([name, values]) => [name, new Uint32Array(Float32Array.from(values).buffer)]),
  )
}
