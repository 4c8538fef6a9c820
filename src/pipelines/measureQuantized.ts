/** What quantising a network costs and gives: its error, and its speed beside the network as it is, in the same call. */

import { type Device, DeviceWeights, loadNetwork, type Network, type NetworkRow } from '../bindings'
import type { CompiledGraph } from '../compile/compile'
import { compile } from '../compile/compile'
import type { Quantization } from '../compile/passes/quantize'
import { type Graph, graphInputs } from '../graph/graph'
import { philoxNormals } from '../tensor/philox'
import { elements } from '../tensor/shape'
import type { Checkpoint } from '../weights/checkpoint'

export interface QuantizedReport {
  /** Of an autoencoder, which half. */
  readonly part?: 'encoder' | 'decoder'
  readonly quantize: Quantization
  /** Products whose weights are int8, and all there are. */
  readonly products: { readonly int8: number; readonly all: number }
  /** Relative L2 distance of one evaluation of a fixed random row from the network as it is; of outputs the largest. */
  readonly error: number
  /** Medians of runs in turns; the network as it is, and quantised. */
  readonly ms: readonly [plain: number, quantized: number]
  /** How many times as fast: the median over pairs of runs. */
  readonly speedup: number
}

export interface MeasureOptions {
  readonly quantize: Quantization
  readonly signal?: AbortSignal | undefined
}

const SEED = 1
const NONE = new Float32Array()
const ROUNDS = 5
/** Within the schedule of every model. */
const TIMESTEP = 500

/** Runs a network as it is and quantised; `undefined` where nothing of it would be quantised. */
export async function measureQuantized(
  device: Device,
  graph: Graph,
  checkpoint: Checkpoint,
  { quantize, signal }: MeasureOptions,
): Promise<QuantizedReport | undefined> {
  const { capabilities } = device
  const products = countProducts(await compile(graph, capabilities, { quantize, signal }))
  if (products.int8 === 0) return undefined
  using weights = new DeviceWeights(device, checkpoint)
  using plain = await loadNetwork(device, graph, weights, { signal })
  using quantized = await loadNetwork(device, graph, weights, { quantize, signal })
  const row = fixedRow(graph)
  const [want, got] = [await plain.run([row], { signal }), await quantized.run([row], { signal })]
  const times: [plain: number, quantized: number][] = []
  for (let round = 0; round < ROUNDS; round++) {
    // Every other round backwards: neither is always the one after the other.
    const backwards = round % 2 === 1
    const first = await timeOf(backwards ? quantized : plain, row, signal)
    const second = await timeOf(backwards ? plain : quantized, row, signal)
    times.push(backwards ? [second, first] : [first, second])
  }
  return {
    quantize,
    products,
    error: Math.max(
      ...Object.entries(want[0] ?? {}).map(([name, values]) => relativeL2(got[0]?.[name] ?? NONE, values)),
    ),
    ms: [median(times.map(([ms]) => ms)), median(times.map(([, ms]) => ms))],
    speedup: median(times.map(([plainMs, quantizedMs]) => plainMs / quantizedMs)),
  }
}

function countProducts({ parts }: CompiledGraph): QuantizedReport['products'] {
  const programs = parts.map(({ payload }) => payload.program)
  const weights = programs.flatMap(({ steps, buffers }) =>
    steps
      .filter(({ kernel }) => kernel === 'matmul' || kernel === 'conv2d')
      .map(({ operands }) => buffers[operands[1] ?? -1]?.dtype),
  )
  return { int8: weights.filter((dtype) => dtype === 'i8').length, all: weights.length }
}

/** Normal numbers, a timestep in the middle, ids and lengths of 1: the same on every machine. */
function fixedRow(graph: Graph): NetworkRow {
  const inputs = graphInputs(graph).map(({ at, shape, dtype, set }, index) => {
    const count = elements(shape)
    if (dtype === 'i32') return [at, new Int32Array(count).fill(1)] as const
    if (set === 'step') return [at, new Float32Array(count).fill(TIMESTEP)] as const
    return [at, philoxNormals(SEED, BigInt(index), count)] as const
  })
  return { inputs: Object.fromEntries(inputs) }
}

async function timeOf(network: Network, row: NetworkRow, signal: AbortSignal | undefined): Promise<number> {
  const started = performance.now()
  await network.run([row], { signal })
  return performance.now() - started
}

/** |got - want| / |want|; NaN where they are not of one length. */
export function relativeL2(got: Float32Array, want: Float32Array): number {
  if (got.length !== want.length) return Number.NaN
  let difference = 0
  let norm = 0
  for (const [i, value] of want.entries()) {
    difference += ((got[i] ?? 0) - value) ** 2
    norm += value ** 2
  }
  return Math.sqrt(difference / norm)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}
