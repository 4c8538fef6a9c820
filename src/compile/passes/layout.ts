/**
 * layout: launches get buffers; reshapes and slices become views, joins become views that producers write into, and
 * casts stand where a gemm would otherwise read another type than the network's.
 */

import { EngineError } from '../../errors'
import type { Graph } from '../../graph/graph'
import { type Pieces, whole } from '../../graph/pieces'
import { useCounts } from '../../graph/rewrite'
import type { Value } from '../../graph/value'
import { type DType, isFloat, STORAGE_BYTES, type StorageType } from '../../tensor/dtype'
import { elements, type Shape } from '../../tensor/shape'
import { BufferTable } from '../bufferTable'
import { recipeOf } from '../constants'
import type { Draft, DraftStep } from '../draft'
import type { LaunchOperand } from '../kernelOf'
import { columnsOf, isDense, type Place, reshapePlace, slicePlace, stridesOf, vectorsOf } from '../place'
import type { EpilogueOp, Packing } from '../program'
import type { Item, Launch } from './fuse'

export interface LayoutOptions {
  /** The network's storage type. */
  readonly dtype: DType
  /** Storage type of each value. */
  readonly storage: (value: Value) => DType
  /** Inputs that are states of earlier parts: stored in the network's type. */
  readonly states: ReadonlySet<string>
  /** Type of the outputs: float32 at the ports, the network's for states. */
  readonly outputDType: DType
  /** Slices stay views and producers write into joins and outputs; off in the plain form. */
  readonly views: boolean
}

const LINE_BYTES = 64
/** Rows a multiple of so many bytes apart fall into few sets of a first cache (native/cpu/gemm/gemm.h). */
const CROWDED_BYTES = 2048

/** Items as steps over a buffer table. */
export const layout = whole(layoutPieces)

/** {@link layout} in pieces. */
export function* layoutPieces(g: Graph, items: readonly Item[], options: LayoutOptions): Pieces<Draft> {
  const { dtype, storage, views } = options
  const table = new BufferTable()
  const steps: DraftStep[] = []
  const places = new Map<Value, Place>()
  const casts = new Map<Value, Place>()
  const targets = new Map<Value, Place>()
  const onlyMultiplied = views ? matmulInputs(g, items) : new Set<Value>()

  // --- values and where they lie

  const known = (value: Value): Place => {
    const place = places.get(value)
    if (place) return place
    const recipe = recipeOf(value)
    if (!recipe) throw new EngineError('internal', `${g.name}: ${value.at} is read before it is made`)
    return constant(value, recipe.shape)
  }

  function constant(value: Value, shape: Shape, packing: Packing = 'plain', type: StorageType = 'f32'): Place {
    const recipe = recipeOf(value)
    if (!recipe) throw new EngineError('internal', `${g.name}: ${value.at} is no parameter`)
    const place = table.param(value.at, recipe, packing, type)
    return packing === 'plain' ? (reshapePlace(place, shape) ?? place) : place
  }

  /** The buffer an operand is read through, cast first when a gemm needs it. */
  const operandIndex = ({ value, role, packing = 'gemm', int8 }: LaunchOperand): number => {
    if (role === 'gemm-weight') return table.indexOf(constant(value, value.shape, packing, int8 ?? dtype))
    if (role === 'table' && recipeOf(value)) return table.indexOf(constant(value, value.shape, 'plain', dtype))
    const place = known(value)
    if (role !== 'gemm-x' || place.dtype === dtype) return table.indexOf(place)
    const cast = casts.get(value) ?? copy(value.at, place, table.arena(value.at, dtype, value.shape))
    casts.set(value, cast)
    return table.indexOf(cast)
  }

  // --- steps

  /** Copies elements, converting the type; returns where they went. */
  function copy(at: string, from: Place, to: Place): Place {
    if (!isFloat(from.dtype) || !isFloat(to.dtype))
      throw new EngineError('invalid-graph', `${g.name}: ${at}: expected real numbers to copy, got ${from.dtype}`)
    steps.push({
      kernel: 'elementwise',
      operands: [table.indexOf(from)],
      output: table.indexOf(to),
      attrs: {},
      epilogue: [],
      at,
    })
    return to
  }

  /** Gathers a box of `sizes` elements, `strides` apart, from where `from` begins. */
  const gather = (at: string, from: Place, sizes: Shape, strides: readonly number[], to: Place) => {
    steps.push({
      kernel: 'strided_copy',
      operands: [table.indexOf(table.baseOf(from))],
      output: table.indexOf(to),
      attrs: { offset: from.offset, rank: sizes.length, sizesAndStrides: [...sizes, ...strides] },
      epilogue: [],
      at,
    })
  }

  /** Where a value goes: the place prepared for it, or a buffer of its own. */
  const destination = (value: Value): Place => targets.get(value) ?? table.arena(value.at, storage(value), value.shape)

  /** A buffer of its own, with rows apart where products read what would crowd a cache. */
  const roomFor = ({ result, shape }: Launch): Place => {
    const type = storage(result)
    const columns = columnsOf(shape)
    const crowds = (columns * STORAGE_BYTES[type]) % CROWDED_BYTES === 0 && vectorsOf(shape) > 1
    if (!crowds || !onlyMultiplied.has(result)) return table.arena(result.at, type, shape)
    const wide = table.arena(result.at, type, shape.with(-1, columns + LINE_BYTES / STORAGE_BYTES[type]))
    return slicePlace(wide, shape.length - 1, 0, columns) ?? wide
  }

  const launch = (item: Launch) => {
    const { result } = item
    const operands = item.operands.map((operand) => operand && operandIndex(operand))
    const epilogue = item.epilogue.map(
      ({ op, operand, value }): EpilogueOp => ({
        op,
        ...(operand && { operand: table.indexOf(known(operand)) }),
        ...(value !== undefined && { value }),
      }),
    )
    const target = targets.get(result)
    const written = target ? reshapePlace(target, item.shape) : roomFor(item)
    if (!written)
      throw new EngineError('internal', `${g.name}: ${item.at} cannot write [${item.shape}] into [${result.shape}]`)
    steps.push({
      kernel: item.kernel,
      operands,
      output: table.indexOf(written),
      attrs: item.attrs,
      epilogue,
      at: item.at,
    })
    places.set(result, target ?? reshapePlace(written, result.shape) ?? written)
  }

  const arrange = (value: Value) => {
    if (value.origin.kind !== 'op' || recipeOf(value)) return
    const { op, inputs, attrs } = value.origin
    const [x] = inputs
    if (!x) return
    switch (op) {
      case 'reshape': {
        if (targets.has(value) && targets.has(x)) {
          places.set(value, destination(value))
          return
        }
        const from = known(x)
        return viewOrCopy(value, reshapePlace(from, value.shape) ?? reshapePlace(dense(value.at, from), value.shape))
      }
      case 'slice': {
        const from = known(x)
        const axis = Number(attrs.axis)
        const start = Number(attrs.start)
        const view = slicePlace(from, axis, start, Number(attrs.size))
        if (view && (views || !isFloat(from.dtype))) return viewOrCopy(value, view)
        const strides = stridesOf(from)
        const to = destination(value)
        gather(value.at, { ...from, offset: from.offset + start * (strides[axis] ?? 0) }, value.shape, strides, to)
        places.set(value, to)
        return
      }
      case 'permute': {
        const from = known(x)
        const strides = stridesOf(from)
        const order = typeof attrs.order === 'object' ? attrs.order : []
        const to = destination(value)
        gather(
          value.at,
          from,
          value.shape,
          order.map((axis) => strides[axis] ?? 1),
          to,
        )
        places.set(value, to)
        return
      }
      case 'concat':
        return join(value, inputs, Number(attrs.axis))
      default:
        throw new EngineError('invalid-graph', `${g.name}: expected a primitive op at ${value.at}, got "${op}"`)
    }
  }

  const dense = (at: string, from: Place): Place =>
    isDense(from) ? from : copy(at, from, table.arena(at, from.dtype, from.shape))

  /** A value that is a view, unless it was promised to another place. */
  const viewOrCopy = (value: Value, view: Place | undefined) => {
    if (!view) throw new EngineError('internal', `${g.name}: ${value.at} has no view`)
    const target = targets.get(value)
    places.set(value, target && !sameMemory(view, target) ? copy(value.at, view, target) : view)
  }

  /** Parts are written into the joined buffer, by their producers where {@link prepare} could arrange it. */
  const join = (value: Value, parts: readonly Value[], axis: number) => {
    const to = places.get(value) ?? destination(value)
    let start = 0
    for (const part of parts) {
      const size = part.shape[axis] ?? 0
      const into = slicePlace(to, axis, start, size)
      if (!targets.has(part) || !sameMemory(places.get(part), into)) {
        const from = known(part)
        if (into) copy(value.at, from, into)
        else copyRuns(value, from, to, axis, start)
      }
      start += size
    }
    viewOrCopy(value, to)
  }

  /** A part of an inner axis: runs of size·inner elements, one per outer index. */
  const copyRuns = (value: Value, from: Place, to: Place, axis: number, start: number) => {
    const outer = elements(from.shape.slice(0, axis))
    const inner = elements(from.shape.slice(axis + 1))
    const run = (from.shape[axis] ?? 0) * inner
    const source = reshapePlace(dense(value.at, from), [outer, run])
    const whole = reshapePlace(to, [outer, (to.shape[axis] ?? 0) * inner])
    const into = whole && slicePlace(whole, 1, start * inner, run)
    if (!source || !into) throw new EngineError('internal', `${g.name}: ${value.at} cannot be joined in place`)
    copy(value.at, source, into)
  }

  // --- preparation: ports, and who writes straight into them and into joins

  for (const value of g.values) {
    if (value.origin.kind !== 'input') continue
    const { name } = value.origin
    const type = value.dtype === 'i32' ? 'i32' : options.states.has(name) ? dtype : 'f32'
    places.set(value, table.input(name, type, value.shape))
  }
  const ports = Object.entries(g.outputs).map(([name, value]) => ({
    value,
    place: table.output(name, value.dtype === 'i32' ? 'i32' : options.outputDType, value.shape),
  }))
  yield
  if (views) prepare()

  function prepare() {
    const uses = useCounts(g)
    const made = new Set(items.map((item) => (item.kind === 'launch' ? item.result : item.value)))
    const promise = (value: Value, place: Place | undefined) => {
      if (
        place &&
        value.origin.kind === 'op' &&
        made.has(value) &&
        uses.get(value) === 1 &&
        !recipeOf(value) &&
        value.dtype === 'f32'
      )
        targets.set(value, place)
    }
    for (const { value, place } of ports) promise(value, place)
    for (const item of items.toReversed()) {
      const value = item.kind === 'launch' ? item.result : item.value
      if (item.kind === 'launch' || value.origin.kind !== 'op') continue
      const { op, inputs, attrs } = value.origin
      const target = targets.get(value)
      if (op === 'reshape' && target && inputs[0]) promise(inputs[0], reshapePlace(target, inputs[0].shape))
      if (op === 'concat' && !recipeOf(value) && value.dtype === 'f32') {
        const axis = Number(attrs.axis)
        // Runs of an inner axis need a dense place; such a join is copied on when its own place is at a pitch.
        const direct = target && (isDense(target) || slicePlace(target, axis, 0, 1))
        const to = direct ? target : table.arena(value.at, storage(value), value.shape)
        places.set(value, to)
        let start = 0
        for (const part of inputs) {
          const size = part.shape[axis] ?? 0
          promise(part, slicePlace(to, axis, start, size))
          start += size
        }
      }
    }
  }

  for (const item of items) {
    yield
    if (item.kind === 'launch') launch(item)
    else arrange(item.value)
  }
  for (const { value, place } of ports) {
    if (!sameMemory(places.get(value), place)) copy(value.at, known(value), place)
  }
  return {
    name: g.name,
    buffers: table.buffers,
    params: table.params,
    inputs: table.inputs,
    outputs: table.outputs,
    steps,
  }
}

/** Values that nothing but matmuls reads, as their x. */
function matmulInputs(g: Graph, items: readonly Item[]): Set<Value> {
  const uses = useCounts(g)
  const multiplied = new Map<Value, number>()
  for (const item of items) {
    if (item.kind !== 'launch' || item.kernel !== 'matmul') continue
    const x = item.operands[0]?.value
    if (x) multiplied.set(x, (multiplied.get(x) ?? 0) + 1)
  }
  return new Set([...multiplied].flatMap(([value, count]) => (uses.get(value) === count ? value : [])))
}

function sameMemory(a: Place | undefined, b: Place | undefined): boolean {
  return (
    a !== undefined &&
    b !== undefined &&
    a.buffer === b.buffer &&
    a.offset === b.offset &&
    a.pitch === b.pitch &&
    columnsOf(a.shape) === columnsOf(b.shape)
  )
}
