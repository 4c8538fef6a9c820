/**
 * quantize: which matmuls and convolutions are computed over int8, or over weights of fewer bits.
 *
 * `int8-weights`: the weights are stored as int8 with a scale per output and widened as they are used. `int8` also
 * quantises x, as it is at the moment, where the device multiplies bytes more quickly than numbers; what stays as it is
 * keeps weights of the network's type, for nothing would be won. `bf16-weights`: the weights of all products of a float32
 * network are kept as bfloat16 and widened as they are used ({@link roundWeights}).
 *
 * Kept as they are, where it is int8:
 * - the first and the last product on every way from an input to an output, which see or make what the network is about;
 * - products in the way of a residual stream: of sums of branches that no norm stands behind, and those whose result
 *   branches are added to. Their error is that of the network, not of one branch (of SD1.5's UNet shortcuts, proj_in and
 *   proj_out, a twelfth of the arithmetic and two thirds of the squared error: docs/performance.md);
 * - what depends on the prompt or the timestep alone, which is cut out of the row part anyway;
 * - products with few channels, outputs or rows, which have little work to save.
 *
 * All of it follows from the graph and one row's shape.
 */

import { type Graph, operandsOf } from '../../graph/graph'
import { type Pieces, whole } from '../../graph/pieces'
import { useCounts } from '../../graph/rewrite'
import type { Value } from '../../graph/value'
import type { Int8Storage } from '../../tensor/dtype'
import { type Shape, sameShape } from '../../tensor/shape'
import type { Capabilities } from '../capabilities'
import { kernelCallOf, type LaunchOperand } from '../kernelOf'
import { columnsOf, vectorsOf } from '../place'
import type { Program } from '../program'
import type { Item, Launch } from './fuse'

/** How networks may be quantised; {@link Quantization} without `none`. */
export const QUANTIZATIONS = ['none', 'int8', 'int8-weights', 'bf16-weights'] as const

export type Quantization = (typeof QUANTIZATIONS)[number]

export interface QuantizeOptions {
  readonly quantize: Quantization
  readonly capabilities: Capabilities
}

/** Channels and outputs from which a product is worth quantising. */
const LEAST_CHANNELS = 64
/** Vectors of x, or pixels, likewise: fewer are bound by what is read and written beside the product. */
const LEAST_VECTORS = 16
/** Terms of four make up a group of an instruction (native/core/quantize.h). */
const GROUP = 4
const MOST_TERMS = 2 ** 16

/** Items with int8 products where they are chosen. */
export const quantize = whole(quantizePieces)

/** {@link quantize} in pieces. */
export function* quantizePieces(g: Graph, items: readonly Item[], options: QuantizeOptions): Pieces<Item[]> {
  if (options.quantize !== 'int8' && options.quantize !== 'int8-weights') return [...items]
  const inner = yield* innerProducts(g)
  return items.map((item) => {
    if (item.kind !== 'launch' || !isWorthwhile(item)) return item
    const [, weight] = item.operands
    return weight && inner.has(weight.value) ? quantized(item, weight, options) : item
  })
}

/** The Program with every matrix that is in float32 marked as one that may be rounded; nothing else of it changes. */
export function roundWeights(program: Program): Program {
  const params = program.params.map((param) =>
    param.packing === 'gemm' && param.dtype === 'f32' ? { ...param, rounded: 'bf16' as const } : param,
  )
  return { ...program, params }
}

/** Weights of products that have another product before and behind them, on a way that depends on the row's latent. */
function* innerProducts(g: Graph): Pieces<Set<Value>> {
  const weightOf = (value: Value): Value | undefined =>
    kernelCallOf(value)?.operands.find((operand) => operand?.role === 'gemm-weight')?.value
  const after = new Set<Value>() // values with a product among what they are made of
  for (const value of g.values) {
    yield
    if (isOfLatent(value) && operandsOf(value).some((operand) => after.has(operand))) after.add(value)
    if (isOfLatent(value) && weightOf(value)) after.add(value)
  }
  const bases = streamBases(g)
  const inner = new Set<Value>()
  const before = new Set<Value>() // values that a product is made of
  for (const value of g.values.toReversed()) {
    yield
    const weight = weightOf(value)
    const [x] = operandsOf(value)
    if (weight && x && before.has(value) && after.has(x) && !isSumOfBranches(x) && !bases.has(value)) inner.add(weight)
    if (weight || before.has(value)) for (const operand of operandsOf(value)) before.add(operand)
  }
  return inner
}

/** Rearrangements of a value keep what it is. */
const TRANSPARENT: ReadonlySet<string> = new Set(['reshape', 'slice', 'permute', 'concat', 'resize_nearest'])

/** Whether the value is a residual sum: of two that depend on the row's latent. */
function isSumOfBranches(value: Value): boolean {
  if (value.origin.kind !== 'op') return false
  if (summandsOf(value).length > 1) return true
  return TRANSPARENT.has(value.origin.op) && value.origin.inputs.some(isSumOfBranches)
}

/** What a sum adds up that depends on the row's latent, element by element. */
function summandsOf(value: Value): readonly Value[] {
  if (value.origin.kind !== 'op' || value.origin.op !== 'add') return []
  return value.origin.inputs.filter((input) => isOfLatent(input) && sameShape(input.shape, value.shape))
}

/** Values that branches start from and are added to, through rearrangements. */
function streamBases(g: Graph): ReadonlySet<Value> {
  const uses = useCounts(g)
  const bases = new Set<Value>()
  const mark = (value: Value): void => {
    bases.add(value)
    if (value.origin.kind === 'op' && TRANSPARENT.has(value.origin.op)) value.origin.inputs.forEach(mark)
  }
  for (const value of g.values) {
    const summands = summandsOf(value)
    if (summands.length > 1) for (const one of summands) if ((uses.get(one) ?? 0) > 1) mark(one)
  }
  return bases
}

function isOfLatent(value: Value): boolean {
  return value.set.split('+').includes('latent')
}

function isWorthwhile({ operands: [x, weight], shape, kernel, attrs }: Launch): boolean {
  if (!x || !weight || (kernel !== 'matmul' && kernel !== 'conv2d')) return false
  // Weights folded for a doubled picture are sums of what would be quantised.
  if (weight.packing === 'upsample') return false
  const channels = columnsOf(x.value.shape)
  return (
    Math.min(channels, columnsOf(shape)) >= LEAST_CHANNELS &&
    vectorsOf(shape) >= LEAST_VECTORS &&
    (kernel === 'matmul' || channels % GROUP === 0) &&
    termsOf(weight.value.shape) <= MOST_TERMS &&
    attrs.quantizeX === 0
  )
}

function termsOf(shape: Shape): number {
  return shape.slice(1).reduce((product, size) => product * size, 1)
}

function quantized(launch: Launch, weight: LaunchOperand, { quantize: how, capabilities }: QuantizeOptions): Launch {
  const [x, , ...others] = launch.operands
  const attrs = { ...launch.attrs }
  let int8: Int8Storage = 'i8'
  if (launch.kernel === 'matmul') attrs.strassen = 0
  if (how === 'int8') {
    if (!capabilities.int8Products.includes(launch.kernel) || attrs.upsample === 2) return launch
    attrs.quantizeX = capabilities.int8Sums
    if (capabilities.int8Sums === 16) int8 = 'i8-sums16'
    if (launch.kernel === 'conv2d') attrs.tile = 0
  }
  return { ...launch, operands: [x ?? null, { ...weight, int8 }, ...others], attrs }
}
