/** The compiler: a graph and a device's capabilities in, artifacts out. The passes stand here in their order. */

import { createHash } from 'node:crypto'
import { EngineError, throwIfAborted } from '../errors'
import '../graph/ops'
import type { Graph } from '../graph/graph'
import { inTurns, type Pieces } from '../graph/pieces'
import { printGraphPieces } from '../graph/print'
import type { DType } from '../tensor/dtype'
import { type Artifact, programRunnable } from './artifact'
import type { Capabilities } from './capabilities'
import { type CutPart, cutPieces } from './passes/cut'
import { dedupePieces } from './passes/dedupe'
import { expandPieces } from './passes/expand'
import { fusePieces } from './passes/fuse'
import { joinProjectionsPieces } from './passes/joinProjections'
import { layoutPieces } from './passes/layout'
import { planPieces } from './passes/plan'
import { storageTypes } from './passes/precision'
import { productFormsPieces } from './passes/productForms'
import { QUANTIZATIONS, type Quantization, quantizePieces, roundWeights } from './passes/quantize'
import { schedule } from './passes/schedule'
import { simplifyPieces } from './passes/simplify'
import type { Program } from './program'
import { verifyProgramPieces } from './verify'

/** The type of a network's activations and gemm weights. */
export type NetworkDType = 'f32' | 'bf16' | 'f16'

export interface CompileOptions {
  /** @defaultValue the capabilities' preferred type */
  readonly dtype?: NetworkDType
  /** What is computed over int8, or kept in fewer bits. @defaultValue `'none'` */
  readonly quantize?: Quantization
  /** One part per input set; off: one part for all. @defaultValue true, false when not optimising */
  readonly cut?: boolean
  /** Off: the plain program, every op one step. @defaultValue true */
  readonly optimise?: boolean
  readonly signal?: AbortSignal
}

/** What compiling a graph yields. */
export interface CompiledGraph {
  /** In running order; the last is the row part. */
  readonly parts: readonly Artifact[]
  readonly dtype: NetworkDType
  /** The graph as it was given. */
  readonly graph: Graph
}

/** Passes from graph to graph, in order. The plain form stops after the first. */
const GRAPH_PASSES: readonly ((g: Graph) => Pieces<Graph>)[] = [
  expandPieces,
  simplifyPieces,
  dedupePieces,
  joinProjectionsPieces,
]

/** Programs kept: a handful of networks in a few shapes each. */
const CACHE_ENTRIES = 64
const cache = new Map<string, readonly Artifact[]>()

/**
 * Compiles a graph; needs no device. Gives the event loop a turn every few milliseconds. Results are kept by graph,
 * capabilities and options.
 *
 * @throws {@link EngineError} `invalid-option` for a dtype the device does not have; `unknown-option` for options that
 * do not exist; `invalid-graph` for a graph no kernel can run.
 */
export async function compile(
  g: Graph,
  capabilities: Capabilities,
  options: CompileOptions = {},
): Promise<CompiledGraph> {
  const { signal } = options
  const settings = resolve(capabilities, options)
  throwIfAborted(signal)
  const key = createHash('sha256')
    .update(await inTurns(printGraphPieces(g), signal))
    .update(JSON.stringify([capabilities, settings]))
    .digest('hex')
  const known = cache.get(key)
  const parts = known ?? (await inTurns(compileParts(g, capabilities, settings), signal))
  cache.delete(key)
  cache.set(key, parts)
  for (const oldest of cache.keys()) {
    if (cache.size <= CACHE_ENTRIES) break
    cache.delete(oldest)
  }
  return { parts, dtype: settings.dtype, graph: g }
}

type Settings = Required<Omit<CompileOptions, 'signal'>>

function resolve(capabilities: Capabilities, options: CompileOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!['dtype', 'quantize', 'cut', 'optimise', 'signal'].includes(name))
      throw new EngineError(
        'unknown-option',
        `compile: expected dtype, quantize, cut, optimise or signal, got "${name}"`,
      )
  }
  const dtype = options.dtype ?? capabilities.preferredDtype
  if ((dtype !== 'f32' && dtype !== 'bf16' && dtype !== 'f16') || !capabilities.dtypes.includes(dtype)) {
    throw new EngineError(
      'invalid-option',
      `compile: expected a dtype among ${capabilities.dtypes.join(', ')} of ${capabilities.backend}, got "${dtype}"`,
    )
  }
  const quantize = options.quantize ?? 'none'
  if (!QUANTIZATIONS.includes(quantize)) {
    throw new EngineError(
      'invalid-option',
      `compile: quantize: expected ${QUANTIZATIONS.join(', ')}, got "${quantize}"`,
    )
  }
  const optimise = options.optimise ?? true
  return { dtype, quantize, optimise, cut: options.cut ?? optimise }
}

function* compileParts(g: Graph, capabilities: Capabilities, settings: Settings): Pieces<Artifact[]> {
  let graph = g
  for (const pass of settings.optimise ? GRAPH_PASSES : GRAPH_PASSES.slice(0, 1)) graph = yield* pass(graph)
  const cutParts: CutPart[] = settings.cut ? yield* cutPieces(graph) : [{ set: 'row', graph, states: new Set() }]
  const parts: Artifact[] = []
  for (const part of cutParts) {
    const program = yield* lower(part, capabilities, settings)
    parts.push({ set: part.set, graph: part.graph, ...programRunnable(program, part.states) })
  }
  return parts
}

/** One part as a Program. */
function* lower(part: CutPart, capabilities: Capabilities, settings: Settings): Pieces<Program> {
  const { dtype, optimise, quantize } = settings
  const fused = yield* fusePieces(part.graph, { fuse: optimise })
  const formed = optimise ? yield* productFormsPieces(part.graph, fused, { dtype, capabilities }) : fused
  const items = yield* quantizePieces(part.graph, formed, { quantize, capabilities })
  const draft = yield* layoutPieces(part.graph, items, {
    dtype: dtype satisfies DType,
    storage: storageTypes(part.graph, dtype),
    states: part.states,
    outputDType: part.set === 'row' ? 'f32' : dtype,
    views: optimise,
  })
  for (const step of draft.steps) {
    if (!capabilities.kernels.includes(step.kernel)) {
      throw new EngineError(
        'invalid-graph',
        `${step.kernel}(${step.at}): expected a kernel of ${capabilities.backend}, got one it lacks`,
      )
    }
  }
  yield
  const scheduled = schedule(draft, capabilities)
  yield
  const planned = yield* planPieces(scheduled, { inPlace: optimise })
  const program = quantize === 'bf16-weights' ? roundWeights(planned) : planned
  yield* verifyProgramPieces(program)
  return program
}
