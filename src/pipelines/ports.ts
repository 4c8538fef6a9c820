/** Between a framework's tensors and a graph's inputs and outputs: names, shapes, layouts, checked once here. */

import type { NetworkRow } from '../bindings'
import { EngineError } from '../errors'
import type { Graph } from '../graph/graph'
import type { Axis, AxisName, Form, InputPort, ModelPorts, OutputPort, Sizes } from '../models'
import { DTYPE_BYTES, type DType } from '../tensor/dtype'
import { elements, formatShape, type Shape, sameShape } from '../tensor/shape'
import type { Tensor, TensorData } from '../tensor/tensor'
import { toFloat32, toInt32 } from '../tensor/widen'
import { show } from '../text/givenOptions'

/**
 * What an input may be given as: a tensor (its `dtype` may be left out where the array says it); a bare array where the
 * network fixes the size of a row; a number where a row is one number.
 */
export type ComponentInput = Tensor | { readonly shape: Shape; readonly data: TensorData } | TensorData | number

/** Inputs as a network takes them. */
export interface BoundInputs {
  readonly sizes: Sizes
  /** `controlled` when inputs that only that form has were given. */
  readonly form: Form
  readonly rows: readonly NetworkRow[]
}

/**
 * Checks inputs against ports and splits them into rows.
 *
 * Throws `unknown-input`, `missing-input`, `shape-mismatch`, `dtype-mismatch`, and `invalid-argument` for values that no
 * network can take: a timestep or factor that is no finite number, an id out of range, a mask with a gap.
 */
export function bindInputs(
  name: string,
  ports: ModelPorts,
  inputs: Readonly<Record<string, ComponentInput>>,
): BoundInputs {
  if (typeof inputs !== 'object' || inputs === null || Array.isArray(inputs) || ArrayBuffer.isView(inputs)) {
    throw new EngineError('invalid-argument', `${name}: expected inputs by name, got ${show(inputs)}`)
  }
  const { form, given } = matchNames(name, ports.inputs, inputs)
  const sizes: Partial<Record<AxisName, number>> = {}
  let count: number | undefined
  const tensors = new Map<InputPort, Tensor>()
  for (const [port, value] of given) {
    const at = `${name}: ${port.name}`
    const tensor = asTensor(at, port, value)
    tensors.set(port, tensor)
    // One for all rows; factors also one for all places.
    if ((port.kind === 'timestep' || port.kind === 'factors') && elements(tensor.shape) === 1) continue
    const [rows] = tensor.shape
    const axes = port.kind === 'factors' && tensor.shape.length === 1 ? [] : port.axes
    const expected = [count ?? rows ?? 1, ...axes.map((axis, i) => axisSize(axis, sizes) ?? tensor.shape[i + 1] ?? 1)]
    if (!sameShape(tensor.shape, expected) || elements(expected) === 0) {
      const wanted = [count ?? 'rows', ...axes.map((axis) => axisSize(axis, sizes) ?? axisName(axis))]
      throw new EngineError(
        'shape-mismatch',
        `${at}: expected [${wanted.join(', ')}], got ${formatShape(tensor.shape)}`,
        {
          input: port.name,
          expected: wanted,
          got: tensor.shape,
        },
      )
    }
    count = expected[0]
    axes.forEach((axis, i) => {
      if (typeof axis === 'string') sizes[axis] = tensor.shape[i + 1]
    })
  }
  const rows = count ?? 1
  const values = Array.from({ length: rows }, (): Record<string, Float32Array | Int32Array> => ({}))
  for (const port of ports.inputs) {
    if (port.form !== undefined && port.form !== form) continue
    const tensor = tensors.get(port)
    const split = tensor ? splitRows(`${name}: ${port.name}`, port, tensor, rows) : ones(port, sizes, rows)
    for (const [graphInput, perRow] of split) {
      perRow.forEach((value, row) => {
        const target = values[row]
        if (target) target[graphInput] = value
      })
    }
  }
  return { sizes, form, rows: values.map((row) => ({ inputs: row })) }
}

/** The size of an axis, `undefined` while the call has not said it. */
function axisSize(axis: Axis, sizes: Sizes): number | undefined {
  if (typeof axis === 'number') return axis
  if (typeof axis === 'string') return sizes[axis]
  const size = sizes[axis.of]
  return size === undefined ? undefined : Math.ceil(size * axis.times)
}

/** An axis for messages. */
function axisName(axis: Axis): string {
  return typeof axis === 'object' ? `${axis.of} * ${axis.times}` : `${axis}`
}

/** Ports with what was given for them, in the order of ports, and the form that has them all. */
function matchNames(
  name: string,
  ports: readonly InputPort[],
  inputs: Readonly<Record<string, ComponentInput>>,
): { readonly form: Form; readonly given: ReadonlyMap<InputPort, ComponentInput> } {
  const known = ports.map((port) => port.name)
  const found = new Map<InputPort, { readonly as: string; readonly value: ComponentInput }>()
  for (const [as, value] of Object.entries(inputs)) {
    const port = ports.find((candidate) => candidate.name === as || candidate.aliases?.includes(as))
    if (!port) {
      throw new EngineError('unknown-input', `${name}: expected inputs among ${known.join(', ')}, got "${as}"`, {
        input: as,
        known,
      })
    }
    const earlier = found.get(port)
    if (earlier) {
      throw new EngineError(
        'unknown-input',
        `${name}: expected one of "${earlier.as}" and "${as}" (they are the same input), got both`,
        { input: as },
      )
    }
    found.set(port, { as, value })
  }
  const form = [...found.keys()].find((port) => port.form)?.form ?? 'plain'
  const required = ports.filter(
    ({ kind, form: only }) => kind !== 'prefixMask' && kind !== 'factors' && (only === undefined || only === form),
  )
  const missing = required.filter((port) => !found.has(port)).map((port) => port.name)
  if (missing.length > 0) {
    const wanted = required.map((port) => port.name)
    throw new EngineError('missing-input', `${name}: expected ${wanted.join(', ')}, missing ${missing.join(', ')}`, {
      missing,
    })
  }
  const given = ports.flatMap((port) => {
    const entry = found.get(port)
    return entry ? [[port, entry.value] as const] : []
  })
  return { form, given: new Map(given) }
}

function asTensor(at: string, port: InputPort, value: ComponentInput): Tensor {
  if (typeof value === 'number') {
    if (port.axes.length > 0 && port.kind !== 'factors')
      throw new EngineError('shape-mismatch', `${at}: expected a tensor, got the number ${value}`, { input: port.name })
    if (port.kind !== 'ids') return { dtype: 'f32', shape: [1], data: Float32Array.of(value) }
    if (!Number.isInteger(value))
      throw new EngineError('invalid-argument', `${at}: expected an integer, got ${value}`, {
        input: port.name,
        got: value,
      })
    return { dtype: 'i32', shape: [1], data: Int32Array.of(value) }
  }
  if (isTensorData(value)) {
    if (port.kind === 'factors') return { dtype: dtypeOf(at, value), shape: [value.length], data: value }
    const row = port.axes.map((axis) => {
      if (typeof axis === 'number') return axis
      throw new EngineError(
        'shape-mismatch',
        `${at}: expected { shape, data } (the size of "${axisName(axis)}" is free), got an array of ${value.length}`,
        {
          input: port.name,
        },
      )
    })
    const size = elements(row)
    if (value.length % size !== 0) {
      throw new EngineError(
        'shape-mismatch',
        `${at}: expected rows of ${formatShape(row)}, got ${value.length} values`,
        { input: port.name },
      )
    }
    return { dtype: dtypeOf(at, value), shape: [value.length / size, ...row], data: value }
  }
  const { shape, data } = (value ?? {}) as Partial<Tensor>
  if (!Array.isArray(shape) || !shape.every((size) => Number.isSafeInteger(size) && size >= 0) || !isTensorData(data)) {
    throw new EngineError('invalid-argument', `${at}: expected a tensor { shape, data }, got ${show(value)}`, {
      input: port.name,
    })
  }
  const dtype = 'dtype' in value ? value.dtype : dtypeOf(at, data)
  if (!matches(dtype, data)) {
    throw new EngineError('dtype-mismatch', `${at}: expected an array of ${dtype}, got ${data.constructor.name}`, {
      input: port.name,
      expected: dtype,
    })
  }
  if (data.length !== elements(shape)) {
    throw new EngineError(
      'shape-mismatch',
      `${at}: expected ${elements(shape)} values for ${formatShape(shape)}, got ${data.length}`,
      {
        input: port.name,
        expected: shape,
        got: data.length,
      },
    )
  }
  return { dtype, shape, data }
}

function isTensorData(value: unknown): value is TensorData {
  return (
    value instanceof Float32Array ||
    value instanceof Int32Array ||
    value instanceof BigInt64Array ||
    value instanceof Uint16Array ||
    value instanceof Uint8Array
  )
}

function dtypeOf(at: string, data: TensorData): DType {
  if (data instanceof Float32Array) return 'f32'
  if (data instanceof Int32Array) return 'i32'
  if (data instanceof BigInt64Array) return 'i64'
  if (data instanceof Uint8Array) return 'u8'
  throw new EngineError('dtype-mismatch', `${at}: expected a dtype (f16 or bf16) beside a Uint16Array, got none`)
}

function matches(dtype: DType, data: TensorData): boolean {
  if (DTYPE_BYTES[dtype] !== data.BYTES_PER_ELEMENT) return false
  return dtype === 'f16' || dtype === 'bf16' ? data instanceof Uint16Array : dtype === dtypeOf('', data)
}

/** Graph inputs of a port with their rows. */
function splitRows(
  at: string,
  port: InputPort,
  tensor: Tensor,
  rows: number,
): [string, (Float32Array | Int32Array)[]][] {
  const row = tensor.shape.slice(1)
  const size = elements(row)
  const view = <T extends Float32Array | Int32Array>(all: T, i: number): T =>
    all.subarray(i * size, (i + 1) * size) as T
  // Rows of the caller's array are copied, for it is the caller's again at once; those of a converted one are not.
  const cut = <T extends Float32Array | Int32Array>(all: T): T[] =>
    Array.from({ length: rows }, (_, i) => (all === tensor.data ? (view(all, i).slice() as T) : view(all, i)))
  switch (port.kind) {
    case 'picture': {
      const all = toFloat32(tensor)
      return [[port.input, Array.from({ length: rows }, (_, i) => channelsLast(view(all, i), row))]]
    }
    case 'numbers':
      return [[port.input, cut(toFloat32(tensor))]]
    case 'factors': {
      const all = finite(at, port, toFloat32(tensor))
      const [places] = port.axes
      const whole = tensor.shape.length > 1 && all.length > 1
      const perRow = (i: number): Float32Array =>
        whole ? view(all, i).slice() : new Float32Array(Number(places)).fill(all[all.length === 1 ? 0 : i] ?? 1)
      return [[port.input, Array.from({ length: rows }, (_, i) => perRow(i))]]
    }
    case 'timestep': {
      const all = finite(at, port, toFloat32(tensor))
      return [[port.input, Array.from({ length: rows }, (_, i) => Float32Array.of(all[all.length === 1 ? 0 : i] ?? 0))]]
    }
    case 'ids': {
      const all = toInt32(tensor, at)
      const bad = all.findIndex((id) => id < 0 || id >= port.below)
      if (bad >= 0) {
        throw new EngineError(
          'invalid-argument',
          `${at}: expected ids from 0 to ${port.below - 1}, got ${all[bad]} at ${bad}`,
          {
            input: port.name,
            index: bad,
            got: all[bad],
          },
        )
      }
      const perRow = cut(all)
      const { derive } = port
      return [
        [port.input, perRow],
        ...(derive
          ? [[derive.input, perRow.map((ids) => Int32Array.of(derive.from(ids)))] as [string, Int32Array[]]]
          : []),
      ]
    }
    case 'prefixMask': {
      const all = toFloat32(tensor)
      const lengths = Array.from({ length: rows }, (_, i) => prefixLength(`${at}: row ${i}`, view(all, i)))
      return [[port.input, lengths.map((length) => Int32Array.of(length))]]
    }
    default:
      return port satisfies never
  }
}

/** A mask or factors that were left out: every token counts, every factor is 1. */
function ones({ kind, axes, input }: InputPort, sizes: Sizes, rows: number): [string, (Float32Array | Int32Array)[]][] {
  const [axis = 0] = axes
  const length = axisSize(axis, sizes) ?? 0
  const row = () => (kind === 'factors' ? new Float32Array(length).fill(1) : Int32Array.of(length))
  return [[input, Array.from({ length: rows }, row)]]
}

/** Throws `invalid-argument` for a number that is none. */
function finite(at: string, port: InputPort, all: Float32Array): Float32Array {
  const bad = all.findIndex((value) => !Number.isFinite(value))
  if (bad < 0) return all
  throw new EngineError('invalid-argument', `${at}: expected finite numbers, got ${all[bad]} at ${bad}`, {
    input: port.name,
    index: bad,
  })
}

function prefixLength(at: string, mask: Float32Array): number {
  const end = mask.findIndex((value) => value !== 1)
  const length = end < 0 ? mask.length : end
  const bad = mask.findIndex((value, i) => i >= length && value !== 0)
  if (length > 0 && bad < 0) return length
  const got = bad < 0 ? 'no ones' : `${mask[bad]} at ${bad} after ${length} ones`
  throw new EngineError(
    'invalid-argument',
    `${at}: expected a mask of ones and then zeros, with at least one 1, got ${got}`,
    { length, index: bad },
  )
}

/** `C H W -> H W C`. */
function channelsLast(data: Float32Array, [channels = 0, height = 0, width = 0]: Shape): Float32Array {
  return transposed(data, channels, height * width)
}

/** `H W C -> C H W`. */
function channelsFirst(data: Float32Array, [height = 0, width = 0, channels = 0]: Shape): Float32Array {
  return transposed(data, height * width, channels)
}

/** `m n -> n m`. */
function transposed(data: Float32Array, m: number, n: number): Float32Array {
  const out = new Float32Array(m * n)
  for (let i = 0; i < m; i += 1) {
    for (let j = 0; j < n; j += 1) out[j * m + i] = data[i * n + j] ?? 0
  }
  return out
}

/** Rows of graph outputs as the framework's tensors, first axis the rows. */
export function gatherOutputs(
  outputs: readonly OutputPort[],
  graph: Graph,
  rows: readonly Readonly<Record<string, Float32Array>>[],
): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = {}
  for (const { name, output, kind } of outputs) {
    const inner = graph.outputs[output]?.shape ?? []
    const [height = 0, width = 0, channels = 0] = inner
    const shape = kind === 'picture' ? [channels, height, width] : inner
    const data = new Float32Array(rows.length * elements(shape))
    rows.forEach((row, i) => {
      const values = row[output]
      if (values) data.set(kind === 'picture' ? channelsFirst(values, inner) : values, i * elements(shape))
    })
    tensors[name] = { dtype: 'f32', shape: [rows.length, ...shape], data }
  }
  return tensors
}
