/**
 * product_forms: each product gets the form with the fewest multiplications that pays.
 *
 * A large matmul is made of seven products of its halves instead of eight (`strassen` 1). Of 3x3 convolutions of stride
 * 1, one of a picture that resize_nearest has doubled reads the picture itself (`upsample` 2), as 2x2
 * convolutions of sums of the weights: 4/9 of the work, and the doubled picture is never written. Winograd's tiles
 * (`tile` m) take ((m + 2) / 3m)² of the multiplications, 4/9 or 1/4, and on a doubled picture 9/16 of what is left.
 *
 * The form decides a result's bits, so it follows from one row's shape, the type and the device's capabilities alone.
 */

import type { Graph } from '../../graph/graph'
import { type Pieces, whole } from '../../graph/pieces'
import { useCounts } from '../../graph/rewrite'
import type { Value } from '../../graph/value'
import type { DType } from '../../tensor/dtype'
import { sameShape } from '../../tensor/shape'
import type { Capabilities } from '../capabilities'
import type { LaunchOperand } from '../kernelOf'
import { columnsOf, vectorsOf } from '../place'
import type { Item, Launch } from './fuse'

export interface ProductFormsOptions {
  /** The network's type. */
  readonly dtype: DType
  readonly capabilities: Capabilities
}

/**
 * Pixels from which tiles of m pay: the weights are transformed once for a block of tiles, and below there are too few
 * (tests/native/conv_bench.cc; 8 x 8 pixels of 1280 channels: m = 2 1.3 times as fast as one sum, m = 4 1.2 times).
 */
const LEAST_PIXELS: Readonly<Record<number, number>> = { 2: 64, 4: 256 }
/** The same on a doubled picture, m = 2, against folded weights without tiles. */
const LEAST_DOUBLED_PIXELS = 256
/** Channels and outputs from which any tile pays. */
const LEAST_CHANNELS = 32
/**
 * Vectors of x, terms and outputs from which Strassen's product pays: below, what it adds up beside its products costs as
 * much as the eighth would (tests/native/gemm_bench.cc; 256x1152x1152 1.08 times as fast as one sum, 64x1280x1280 1.0,
 * 1024x640x5120 0.99, 4096x1280x320 0.90).
 */
const LEAST_STRASSEN = { vectors: 256, terms: 1024, outputs: 512 }
/** Terms and outputs come in multiples of this, vectors in pairs (native/core/verify_step.cc). */
const STRASSEN_UNIT = 32

/** Items with a form for every product; resizes that only doubled a picture for a convolution are gone. */
export const productForms = whole(productFormsPieces)

/** {@link productForms} in pieces. */
export function* productFormsPieces(g: Graph, items: readonly Item[], options: ProductFormsOptions): Pieces<Item[]> {
  const { upsampledConv2d } = options.capabilities
  const uses = useCounts(g)
  const doublings = new Map<Value, Launch>()
  const gone = new Set<Item>()
  const formed: Item[] = []
  for (const item of items) {
    yield
    if (item.kind !== 'launch') {
      formed.push(item)
      continue
    }
    if (upsampledConv2d && doubles(item) && uses.get(item.result) === 1) doublings.set(item.result, item)
    const [x] = item.operands
    const doubling = x && doublings.get(x.value)
    if (doubling && isPlain3x3(item) && isPaddedByOne(item)) {
      gone.add(doubling)
      formed.push(upsampled(item, doubling, options))
    } else if (isPlain3x3(item)) formed.push(tiled(item, options))
    else formed.push(takesStrassen(item, options) ? { ...item, attrs: { ...item.attrs, strassen: 1 } } : item)
  }
  return formed.filter((item) => !gone.has(item))
}

/** Whether the launch is a matmul that Strassen's product can do, and does more quickly. */
function takesStrassen({ kernel, operands: [x, weight], shape }: Launch, options: ProductFormsOptions): boolean {
  const { dtype, capabilities } = options
  if (kernel !== 'matmul' || !x || !weight || !capabilities.strassenDtypes.includes(dtype)) return false
  const [vectors, terms, outputs] = [vectorsOf(x.value.shape), columnsOf(x.value.shape), columnsOf(shape)]
  return (
    vectors >= LEAST_STRASSEN.vectors &&
    terms >= LEAST_STRASSEN.terms &&
    outputs >= LEAST_STRASSEN.outputs &&
    vectors % 2 === 0 &&
    terms % STRASSEN_UNIT === 0 &&
    outputs % STRASSEN_UNIT === 0
  )
}

/** Whether the launch is a nearest doubling in both directions and nothing else. */
function doubles({ kernel, operands, epilogue, shape }: Launch): boolean {
  const [height = 0, width = 0, channels = 0] = operands[0]?.value.shape ?? []
  return kernel === 'resize_nearest' && epilogue.length === 0 && sameShape(shape, [2 * height, 2 * width, channels])
}

function isPlain3x3({ kernel, attrs }: Launch): boolean {
  const { kernelH, kernelW, strideH, strideW } = attrs
  return kernel === 'conv2d' && kernelH === 3 && kernelW === 3 && strideH === 1 && strideW === 1
}

function isPaddedByOne({ attrs: { padTop, padLeft, padBottom, padRight } }: Launch): boolean {
  return [padTop, padLeft, padBottom, padRight].every((padding) => padding === 1)
}

/** The convolution of the picture before it was doubled; of its parities only F(2×2, 2×2) is made. */
function upsampled(launch: Launch, doubling: Launch, options: ProductFormsOptions): Launch {
  const [, weight, bias = null] = launch.operands
  const [x] = doubling.operands
  if (!x || !weight) return launch
  const tile = tilesFor(x.value, launch, options).includes(2) && pixelsOf(x.value) >= LEAST_DOUBLED_PIXELS ? 2 : 0
  const operands: (LaunchOperand | null)[] = [
    { ...x, role: 'gemm-x' },
    tile === 0 ? { ...weight, packing: 'upsample' } : weight,
    bias,
  ]
  return { ...launch, operands, attrs: { ...launch.attrs, upsample: 2, tile } }
}

/** The convolution through the largest tiles, where they pay. */
function tiled(launch: Launch, options: ProductFormsOptions): Launch {
  const [x] = launch.operands
  if (!x) return launch
  return { ...launch, attrs: { ...launch.attrs, tile: Math.max(0, ...tilesFor(x.value, launch, options)) } }
}

/** The device's tiles that pay. */
function tilesFor(x: Value, { shape }: Launch, { dtype, capabilities }: ProductFormsOptions): readonly number[] {
  if (Math.min(columnsOf(x.shape), columnsOf(shape)) < LEAST_CHANNELS) return []
  if (!capabilities.winogradDtypes.includes(dtype)) return []
  return capabilities.winogradTiles.filter((tile) => pixelsOf(x) >= (LEAST_PIXELS[tile] ?? Number.POSITIVE_INFINITY))
}

function pixelsOf({ shape }: Value): number {
  return (shape[0] ?? 0) * (shape[1] ?? 0)
}
