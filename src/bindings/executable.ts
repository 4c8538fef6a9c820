/** Executables: an artifact bound to packs on a device. */

import type { Payload, Runnable, Signature, SignaturePort } from '../compile/artifact'
import { encodeProgram } from '../compile/encode'
import { EngineError } from '../errors'
import type { TensorData } from '../tensor/tensor'
import type { BufferHandle, ExecutableHandle } from './addon'
import { type Device, DeviceBuffer } from './device'
import type { DeviceWeights, LoadOptions } from './deviceWeights'
import { awaitNative } from './nativeCall'
import { Owned } from './owned'

/** What one row reads or writes at one port. */
export type RowValue = TensorData | DeviceBuffer

export interface RunRequest {
  readonly rows: number
  /** One value per row for every input of the signature. */
  readonly inputs: Readonly<Record<string, readonly RowValue[]>>
  /** One value per row for every output; none may share memory with another value of the run. */
  readonly outputs: Readonly<Record<string, readonly RowValue[]>>
  readonly signal?: AbortSignal
  /** Called once, with the milliseconds of every step of the program, in order; no step is timed without it. */
  readonly onStepTimes?: (stepMs: readonly number[]) => void
}

/**
 * Packs an artifact's parameters and binds it.
 *
 * Throws what {@link DeviceWeights.packs} throws, and `invalid-program`.
 */
export async function loadExecutable(
  device: Device,
  { signature, payload }: Runnable,
  weights: DeviceWeights,
  options: LoadOptions = {},
): Promise<Executable> {
  if (weights.device !== device) {
    throw new EngineError(
      'invalid-argument',
      `${signature.name}: expected weights of the same device, got another device's`,
    )
  }
  const packs = await weights.packs(signature.params, options)
  const bytes = encodePayload(payload)
  const handle = await awaitNative((native, cancel) => native.bind(device.handle, bytes, packs, cancel), options.signal)
  return new Executable(device, signature, handle)
}

/** What the addon decodes. */
function encodePayload(payload: Payload): Uint8Array {
  switch (payload.kind) {
    case 'program':
      return encodeProgram(payload.program)
    default:
      return payload.kind satisfies never
  }
}

export class Executable {
  readonly device: Device
  readonly signature: Signature
  readonly #handle: Owned<ExecutableHandle>

  /** @internal Use {@link loadExecutable}. */
  constructor(device: Device, signature: Signature, handle: ExecutableHandle) {
    this.device = device
    this.signature = signature
    this.#handle = new Owned(handle, `executable "${signature.name}"`)
  }

  /**
   * Runs it for some rows. Nothing is copied: arrays are read and written where they are until the promise
   * settles, and must be neither changed nor transferred before.
   *
   * Throws `missing-input`, `unknown-input`, `dtype-mismatch`, `shape-mismatch`, `invalid-argument` (shared, detached,
   * resizable or overlapping memory), `out-of-memory`, `disposed`; an AbortError when the signal fires.
   */
  async run({ rows, inputs, outputs, signal, onStepTimes }: RunRequest): Promise<void> {
    const handle = this.#handle.get()
    const { lane } = this.device
    const { name, inputs: inputPorts, outputs: outputPorts } = this.signature
    if (!Number.isInteger(rows) || rows < 1) {
      throw new EngineError('invalid-argument', `${name}: rows: expected an integer of at least 1, got ${rows}`)
    }
    const read = flatten(name, 'input', inputPorts, inputs, rows)
    const written = flatten(name, 'output', outputPorts, outputs, rows)
    const timed = onStepTimes !== undefined
    const stepNs = await awaitNative(
      (native, cancel) => native.run(lane, handle, rows, read, written, cancel, timed),
      signal,
    )
    onStepTimes?.((stepNs ?? []).map((ns) => ns / 1e6))
  }

  /** Idempotent; a pending run is finished first. */
  dispose(): void {
    this.#handle.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** Port-major values, with names and counts checked; their types and sizes are checked where they are pointed into. */
function flatten(
  owner: string,
  kind: 'input' | 'output',
  ports: readonly SignaturePort[],
  values: Readonly<Record<string, readonly RowValue[]>>,
  rows: number,
): (TensorData | BufferHandle)[] {
  const names = Object.keys(values)
  const known = ports.map(({ name }) => name)
  // At every step of a run: one look at each, unless something is wrong.
  const stranger =
    names.length > known.length || known.some((name) => !values[name])
      ? names.find((name) => !known.includes(name))
      : undefined
  if (stranger !== undefined) {
    const message = `${owner}: expected ${kind}s ${known.join(', ')}, got "${stranger}"`
    throw new EngineError('unknown-input', message, { [kind]: stranger })
  }
  const flat: (TensorData | BufferHandle)[] = []
  for (const name of known) {
    const row = values[name]
    if (!row) throw new EngineError('missing-input', `${owner}: expected ${kind} "${name}", got none`, { [kind]: name })
    if (row.length !== rows) {
      throw new EngineError('missing-input', `${owner}: ${name}: expected ${rows} rows, got ${row.length}`, {
        [kind]: name,
      })
    }
    for (const value of row) {
      if (!(value instanceof DeviceBuffer) && isResizable(value)) {
        const place = `${owner}: ${name} of row ${row.indexOf(value)}`
        throw new EngineError(
          'invalid-argument',
          `${place}: expected memory of fixed size, got a resizable ArrayBuffer`,
        )
      }
      flat.push(value instanceof DeviceBuffer ? value.handle : value)
    }
  }
  return flat
}

/** Shrinking a resizable buffer takes its pages away while a kernel is at them. */
function isResizable(value: TensorData): boolean {
  const memory: object | undefined = value?.buffer
  return memory !== undefined && 'resizable' in memory && memory.resizable === true
}
