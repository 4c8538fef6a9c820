/** Networks on every device: optimised programs against plain ones, cut against whole, rows and threads against bits. */

import { describe, expect, test } from 'vitest'
import type { DeviceOptions, NetworkOptions, NetworkRow } from '../../src/bindings'
import * as bindings from '../../src/bindings'
import { relativeL2 } from '../golden/cases'
import { goldenGraph, goldenNetworks } from '../oracle/goldenGraph'
import { drawnInputs } from '../oracle/interpret'
import { drawInput } from '../oracle/networks'
import { tryOpen } from './suite'

type Outputs = Record<string, Float32Array>

/** Float32 in another order of sums, through a whole network. */
const F32_TOLERANCE = 1e-5

for (const instructions of ['portable', 'avx2', 'avx512', 'avx512_bf16', 'amx'] as const)
  describeNetworks(`cpu ${instructions}`, { device: 'cpu', instructions })

function describeNetworks(title: string, options: DeviceOptions): void {
  const probe = tryOpen(bindings, options)
  if (typeof probe === 'string') {
    console.log(`skipped: networks on ${title}: ${probe}`)
    describe.skip(`${title} (${probe})`, () => test('is not available here', () => undefined))
    return
  }
  probe.dispose()

  describe.each(goldenNetworks)(`${title}: $net $case $component`, (golden) => {
    /** Outputs of seven rows that differ; `alone` runs each by itself. */
    const run = async (device: DeviceOptions, network: NetworkOptions, alone = false): Promise<Outputs[]> => {
      const { graph, checkpoint } = await goldenGraph(golden)
      const rows = Array.from({ length: 7 }, (_, row) => ({ inputs: inputsOf(graph, row) }))
      using opened = bindings.openDevice(device)
      const weights = new bindings.DeviceWeights(opened, checkpoint)
      const loaded = await bindings.loadNetwork(opened, graph, weights, network)
      try {
        if (!alone) return await loaded.run(rows)
        const results: Outputs[] = []
        for (const row of rows) results.push(...(await loaded.run([row])))
        return results
      } finally {
        loaded.dispose()
        weights.dispose()
      }
    }

    test('optimised and plain agree in f32, cut and whole', async () => {
      const want = await run({ device: 'reference' }, { dtype: 'f32', optimise: false })
      expect(distance(await run(options, { dtype: 'f32', optimise: false }), want)).toBeLessThan(F32_TOLERANCE)
      expect(distance(await run(options, { dtype: 'f32', cut: false }), want)).toBeLessThan(F32_TOLERANCE)
      expect(distance(await run(options, { dtype: 'f32' }), want)).toBeLessThan(F32_TOLERANCE)
    })

    test('optimising loses nothing in bf16', async () => {
      const want = await run({ device: 'reference' }, { dtype: 'f32', optimise: false })
      const plain = distance(await run(options, { dtype: 'bf16', optimise: false }), want)
      const optimised = distance(await run(options, { dtype: 'bf16' }), want)
      expect(optimised).toBeLessThan(1.5 * plain)
    })

    test('rows and threads leave the bits alone', async () => {
      const want = await run({ ...options, threads: 1 }, {})
      for (const threads of [2, 4]) expect(await run({ ...options, threads }, {})).toEqual(want)
      expect(await run({ ...options, threads: 2 }, {}, true)).toEqual(want)
    })
  })
}

function inputsOf(graph: Parameters<typeof drawnInputs>[0], row: number): NetworkRow['inputs'] {
  const drawn = drawnInputs(graph, (name, count, dtype) => drawInput(`${name}.${row}`, count, dtype))
  return Object.fromEntries(
    Object.entries(drawn).map(([name, values]) => [
      name,
      values instanceof Int32Array ? values : Float32Array.from(values),
    ]),
  )
}

/** The largest relative L2 over rows and outputs. */
function distance(got: readonly Outputs[], want: readonly Outputs[]): number {
  return Math.max(
    ...want.flatMap((outputs, row) =>
      Object.entries(outputs).map(([name, values]) => relativeL2(got[row]?.[name] ?? [], values)),
    ),
  )
}
