/** Inputs of networks as a call reads them: checked, keyed where states depend on them, copied where a later moment reads them. */

import { createHash } from 'node:crypto'
import { EngineError } from '../errors'
import type { ValueDType } from '../graph/value'
import { DeviceBuffer } from './device'

/** One row of a graph input: as many values as it has, or a buffer of its bytes (f32 or i32, as {@link Network.inputs} says). */
export type NetworkValue = Float32Array | Int32Array | DeviceBuffer

export type NetworkInputs = Readonly<Record<string, NetworkValue>>

/** A graph input: how many values of which type. */
export interface NetworkInput {
  readonly values: number
  readonly dtype: ValueDType
  /** Whether states depend on it. */
  readonly keyed: boolean
}

/** Inputs as a call goes on with them. */
export interface ReadInputs {
  readonly values: ReadonlyMap<string, NetworkValue>
  /** Of the inputs that states depend on: equal for equal contents. */
  readonly keys: ReadonlyMap<string, InputKey>
}

export interface InputKey {
  readonly text: string
  /** Whether nobody else can have the same: buffers are told apart, not read. */
  readonly unique: boolean
}

/** Whose arrays they are: the caller's again at once, unchanged until the call is over, never changed again. */
export type ArrayOwner = 'copied' | 'lent' | 'given'

/**
 * Checks inputs and reads those that are arrays.
 *
 * Throws `unknown-input`, `dtype-mismatch`, `shape-mismatch`.
 */
export function readInputs(
  place: string,
  known: ReadonlyMap<string, NetworkInput>,
  inputs: NetworkInputs,
  arrays: ArrayOwner,
): ReadInputs {
  for (const [name, value] of Object.entries(inputs)) checkInput(place, known, name, value)
  const keys = new Map<string, InputKey>()
  const values = new Map<string, NetworkValue>()
  for (const [name, value] of Object.entries(inputs)) {
    const keyed = known.get(name)?.keyed ?? false
    if (keyed) keys.set(name, keyOf(value))
    // A run that several calls wait for may outlive this one, so what it reads must not be only lent.
    const kept = value instanceof DeviceBuffer || arrays === 'given' || (arrays === 'lent' && !keyed)
    values.set(name, kept ? value : value.slice())
  }
  return { values, keys }
}

/** A row's inputs with those of its state. Throws `invalid-argument` for one that both have, and `missing-input`. */
export function joinInputs(
  place: string,
  known: ReadonlyMap<string, NetworkInput>,
  state: ReadInputs | undefined,
  own: ReadInputs,
  complete: boolean,
): ReadInputs {
  for (const name of own.values.keys()) {
    if (!state?.values.has(name)) continue
    const message = `${place}: expected input "${name}" in the state or in the row, got it in both`
    throw new EngineError('invalid-argument', message, { input: name })
  }
  const row = state
    ? { values: new Map([...state.values, ...own.values]), keys: new Map([...state.keys, ...own.keys]) }
    : own
  for (const name of complete ? known.keys() : []) {
    if (row.values.has(name)) continue
    throw new EngineError('missing-input', `${place}: expected input "${name}", got none`, { input: name })
  }
  return row
}

function checkInput(place: string, known: ReadonlyMap<string, NetworkInput>, name: string, value: unknown): void {
  const expected = known.get(name)
  if (expected === undefined) {
    const message = `${place}: expected ${[...known.keys()].join(', ')}, got "${name}"`
    throw new EngineError('unknown-input', message, { input: name })
  }
  const wanted = expected.dtype === 'i32' ? Int32Array : Float32Array
  const length = value instanceof DeviceBuffer ? value.sizeBytes / wanted.BYTES_PER_ELEMENT : undefined
  if (length === undefined && !(value instanceof wanted)) {
    const message = `${place}: ${name}: expected a ${wanted.name} or a device buffer, got ${typeName(value)}`
    throw new EngineError('dtype-mismatch', message, { input: name })
  }
  const got = length ?? (value as Float32Array | Int32Array).length
  if (got !== expected.values) {
    const message = `${place}: ${name}: expected ${expected.values} values, got ${got}`
    throw new EngineError('shape-mismatch', message, { input: name })
  }
}

let buffersSeen = 0
/** Up to there contents are their own key: timesteps and labels are read at every step. */
const SHORT_BYTES = 64

function keyOf(value: NetworkValue): InputKey {
  if (value instanceof DeviceBuffer) return { text: `buffer ${++buffersSeen}`, unique: true }
  const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  const short = bytes.length <= SHORT_BYTES
  const text = short ? Buffer.from(bytes).toString('hex') : createHash('sha256').update(bytes).digest('base64')
  return { text, unique: false }
}

function typeName(value: unknown): string {
  return value === null ? 'null' : typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value
}
