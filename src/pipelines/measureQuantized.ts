/** What quantising a network costs and gives: its error, and its speed beside the network as it is, in the same call. */

import { type Device, DeviceWeights, loadNetwork, type Network, type NetworkRow } from '../bindings'
import { storedTypes } from '../bindings/storedType'
import { type CompiledGraph, compile } from '../compile/compile'
import type { Quantization } from '../compile/passes/quantize'
import type { ParamSpec } from '../compile/program'
import { paramOf, type StoredTypes } from '../compile/stepCost'
import { type Graph, graphInputs } from '../graph/graph'
import { isInt8 } from '../tensor/dtype'
import { philoxNormals } from '../tensor/philox'
import { elements } from '../tensor/shape'
import type { Checkpoint } from '../weights/checkpoint'

export interface QuantizedReport {
  /** Of an autoencoder, which half. */
  readonly part?: 'encoder' | 'decoder'
  readonly quantize: Quantization
  /** Products whose weights have fewer bits than without, and all there are. */
  readonly products: { readonly quantized: number; readonly all: number }
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
  const compiled = await compile(graph, capabilities, { quantize, signal })
  const products = countProducts(compiled, storedTypes(capabilities, checkpoint))
  if (products.quantized === 0) return undefined
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

function countProducts({ parts }: CompiledGraph, stored: StoredTypes): QuantizedReport['products'] {
  const weights = parts.flatMap(({ payload: { program } }) =>
    program.steps
      .filter(({ kernel }) => kernel === 'matmul' || kernel === 'conv2d')
      .flatMap(({ operands }) => program.buffers[operands[1] ?? -1] ?? [])
      .map((weight) => paramOf(program, weight)),
  )
  const isQuantized = (param: ParamSpec) => stored(param) !== stored({ ...param, rounded: undefined })
  const quantized = weights.filter((param) => param && (isInt8(param.dtype) || isQuantized(param)))
  return { quantized: quantized.length, all: weights.length }
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
