/** Networks: a compiled graph bound to weights; parts that depend on less than a row run once per distinct content. */

import { createHash } from 'node:crypto'
import { type CompileOptions, compile } from '../compile/compile'
import { EngineError, throwIfAborted } from '../errors'
import { type Graph, graphInputs } from '../graph/graph'
import type { ValueDType } from '../graph/value'
import { elements } from '../tensor/shape'
import type { Device, DeviceBuffer } from './device'
import type { DeviceWeights, LoadOptions } from './deviceWeights'
import { type Executable, loadExecutable, type RowValue } from './executable'
import { linkParts, type NetworkPart } from './networkParts'
import { SharedWork } from './sharedWork'
import { type State, StateCache } from './stateCache'

const DEFAULT_STATE_BYTES = 256 * 2 ** 20

/** One row of a network: its graph inputs by name. Copied at the call where a run reads them later. */
export interface NetworkRow {
  readonly inputs: Readonly<Record<string, Float32Array | Int32Array>>
}

export interface NetworkOptions extends LoadOptions, Pick<CompileOptions, 'dtype' | 'cut' | 'optimise'> {
  /** Most bytes of states kept between runs. @defaultValue 256 MiB */
  readonly stateBytes?: number
}

/** Bytes that belong to a network; its weights may be shared with others. */
export interface NetworkMemory {
  readonly stateBytes: number
  readonly states: number
}

/**
 * Compiles a graph for a device and binds it to weights.
 *
 * Throws what {@link DeviceWeights.packs} and compilation throw; an AbortError when the signal fires.
 */
export async function loadNetwork(
  device: Device,
  graph: Graph,
  weights: DeviceWeights,
  options: NetworkOptions = {},
): Promise<Network> {
  const { dtype, cut, optimise, signal, onProgress, stateBytes = DEFAULT_STATE_BYTES } = options
  if (!(stateBytes >= 0)) {
    throw new EngineError(
      'invalid-option',
      `${graph.name}: stateBytes: expected a number of at least 0, got ${stateBytes}`,
    )
  }
  const compiled = await compile(graph, device.capabilities, { dtype, cut, optimise, signal })
  // All parameters at once, for one progress and one report of what is missing.
  await weights.packs(
    compiled.parts.flatMap((part) => part.signature.params),
    { signal, onProgress },
  )
  const executables: Executable[] = []
  try {
    for (const part of compiled.parts) executables.push(await loadExecutable(device, part, weights, { signal }))
    const inputs = new Map(
      graphInputs(graph).map((value) => [value.at, { values: elements(value.shape), dtype: value.dtype }]),
    )
    const parts = linkParts(executables)
    return new Network(device, graph, parts, inputs, `${weights.identity} ${compiled.dtype}`, stateBytes)
  } catch (error) {
    for (const executable of executables) executable.dispose()
    throw error
  }
}

/** A graph input: how many values of which type. */
interface InputPort {
  readonly values: number
  readonly dtype: ValueDType
}

/** One call's own copies of a row's inputs, with hashes of those that states depend on. */
interface Row {
  readonly values: ReadonlyMap<string, Float32Array | Int32Array>
  readonly hashes: ReadonlyMap<string, string>
}

export class Network {
  readonly device: Device
  readonly graph: Graph
  readonly #parts: readonly NetworkPart[]
  readonly #rowPart: NetworkPart
  readonly #inputs: ReadonlyMap<string, InputPort>
  readonly #identity: string
  readonly #states: StateCache
  #pending = 0
  #disposed = false

  /** @internal Use {@link loadNetwork}. */
  constructor(
    device: Device,
    graph: Graph,
    parts: readonly NetworkPart[],
    inputs: ReadonlyMap<string, InputPort>,
    identity: string,
    stateBytes: number,
  ) {
    const rowPart = parts.at(-1)
    if (!rowPart) throw new EngineError('internal', `${graph.name}: expected a program, got none`)
    this.device = device
    this.graph = graph
    this.#parts = parts
    this.#rowPart = rowPart
    this.#inputs = inputs
    this.#identity = identity
    this.#states = new StateCache(stateBytes)
  }

  /**
   * Evaluates the network for some rows; a row's result does not depend on the others.
   *
   * @param rows - every graph input of every row. The arrays may be changed as soon as this returns its promise.
   * @returns one record of graph outputs per row.
   *
   * Throws `missing-input`, `unknown-input`, `dtype-mismatch`, `shape-mismatch`, `invalid-argument`, `disposed`; an
   * AbortError when the signal fires.
   */
  async run(
    rows: readonly NetworkRow[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Record<string, Float32Array>[]> {
    return this.#whilePending(async () => {
      if (rows.length === 0)
        throw new EngineError('invalid-argument', `${this.graph.name}: expected at least one row, got none`)
      const { signal } = options
      const read = rows.map((row, index) => this.#readRow(row, index, true))
      const states = await this.#acquire(read, signal)
      try {
        const outputs = new Map(
          [...this.#rowPart.outputBytes].map(([name, bytes]) => [name, rows.map(() => new Float32Array(bytes / 4))]),
        )
        await this.#rowPart.executable.run({
          rows: rows.length,
          inputs: this.#values(this.#rowPart, read, states),
          outputs: Object.fromEntries(outputs),
          signal,
        })
        return rows.map((_, row) =>
          Object.fromEntries([...outputs].map(([name, values]) => [name, values[row] ?? new Float32Array(0)])),
        )
      } finally {
        this.#release(states)
      }
    })
  }

  /**
   * Runs the parts that depend on the given inputs alone, for all rows at once, and keeps their states: all timesteps
   * of a schedule for instance, before the first step.
   *
   * @param rows - any of the graph inputs.
   */
  async prepare(rows: readonly NetworkRow[], options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#whilePending(async () => {
      const read = rows.map((row, index) => this.#readRow(row, index, false))
      this.#release(await this.#acquire(read, options.signal))
    })
  }

  memory(): NetworkMemory {
    return { stateBytes: this.#states.sizeBytes, states: this.#states.count }
  }

  /** Pending runs are finished first; new ones are refused. Idempotent. */
  dispose(): void {
    this.#disposed = true
    if (this.#pending === 0) this.#free()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #free(): void {
    this.#states.clear()
    for (const { executable } of this.#parts) executable.dispose()
  }

  async #whilePending<T>(work: () => Promise<T>): Promise<T> {
    if (this.#disposed)
      throw new EngineError('disposed', `network "${this.graph.name}": expected one in use, got a disposed one`)
    this.#pending += 1
    try {
      return await work()
    } finally {
      this.#pending -= 1
      if (this.#disposed && this.#pending === 0) this.#free()
    }
  }

  #readRow({ inputs }: NetworkRow, index: number, complete: boolean): Row {
    const place = `${this.graph.name}: row ${index}`
    for (const [name, value] of Object.entries(inputs)) {
      const expected = this.#inputs.get(name)
      if (expected === undefined) {
        throw new EngineError(
          'unknown-input',
          `${place}: expected ${[...this.#inputs.keys()].join(', ')}, got "${name}"`,
          { input: name },
        )
      }
      const wanted = expected.dtype === 'i32' ? Int32Array : Float32Array
      if (!(value instanceof wanted)) {
        throw new EngineError(
          'dtype-mismatch',
          `${place}: ${name}: expected a ${wanted.name}, got ${typeName(value)}`,
          { input: name },
        )
      }
      if (value.length !== expected.values) {
        throw new EngineError(
          'shape-mismatch',
          `${place}: ${name}: expected ${expected.values} values, got ${value.length}`,
          {
            input: name,
          },
        )
      }
    }
    for (const name of complete ? this.#inputs.keys() : []) {
      if (!Object.hasOwn(inputs, name))
        throw new EngineError('missing-input', `${place}: expected input "${name}", got none`, { input: name })
    }
    // Before the first await: then the caller's arrays are the caller's again.
    const hashes = new Map<string, string>()
    const values = new Map<string, Float32Array | Int32Array>()
    for (const [name, value] of Object.entries(inputs)) {
      if (this.#parts.some((part) => part !== this.#rowPart && part.dependsOn.includes(name)))
        hashes.set(name, hashOf(value))
      values.set(name, value.slice())
    }
    return { values, hashes }
  }

  /** States of every part but the last, per part and row, taken into use. */
  async #acquire(rows: readonly Row[], signal: AbortSignal | undefined): Promise<State[][]> {
    const states: State[][] = []
    try {
      for (const part of this.#parts) {
        if (part === this.#rowPart) break
        throwIfAborted(signal)
        const able = rows.every((row) => part.dependsOn.every((name) => row.values.has(name)))
        const taken = able ? this.#acquirePart(part, rows, states) : []
        states.push(taken)
        // Joined in the tick that took them: nobody can be the last to leave in between.
        await Promise.all([...new Set(taken.map(({ work }) => work))].map((work) => work.join(signal)))
      }
      return states
    } catch (error) {
      this.#release(states)
      throw error
    }
  }

  /** Takes known states, and starts one run for all that are not. */
  #acquirePart(part: NetworkPart, rows: readonly Row[], states: readonly State[][]): State[] {
    const keys = rows.map((row) => this.#key(part, row))
    const found = new Map<string, State>()
    const missing: { readonly key: string; readonly row: number }[] = []
    for (const [row, key] of keys.entries()) {
      if (found.has(key) || missing.some((one) => one.key === key)) continue
      const state = this.#states.take(key)
      if (state) found.set(key, state)
      else missing.push({ key, row })
    }
    try {
      for (const state of this.#start(part, missing, rows, states)) found.set(state.key, state)
    } catch (error) {
      this.#release([[...found.values()]])
      throw error
    }
    return keys.flatMap((key, row) => {
      const state = found.get(key)
      if (!state) return []
      if (keys.indexOf(key) !== row) state.users += 1
      return state
    })
  }

  #start(
    part: NetworkPart,
    missing: readonly { readonly key: string; readonly row: number }[],
    rows: readonly Row[],
    states: readonly State[][],
  ): State[] {
    if (missing.length === 0) return []
    const buffers = missing.map(() => new Map<string, DeviceBuffer>())
    for (const row of buffers) {
      for (const [name, bytes] of part.outputBytes) row.set(name, this.device.allocate(bytes))
    }
    const outputs = Object.fromEntries(
      [...part.outputBytes.keys()].map((name) => [name, buffers.flatMap((row) => row.get(name) ?? [])]),
    )
    const inputs = this.#values(
      part,
      missing.flatMap(({ row }) => rows[row] ?? []),
      states.map((ofPart) => missing.flatMap(({ row }) => ofPart[row] ?? [])),
    )
    const work = new SharedWork<void>((signal) =>
      part.executable.run({ rows: missing.length, inputs, outputs, signal }),
    )
    const sizeBytes = [...part.outputBytes.values()].reduce((sum, bytes) => sum + bytes, 0)
    return missing.map(({ key }, index) => {
      const state: State = { key, buffers: buffers[index] ?? new Map(), sizeBytes, work, users: 1 }
      this.#states.add(state)
      return state
    })
  }

  #release(states: readonly State[][]): void {
    for (const state of states.flat()) this.#states.release(state)
  }

  /** A part's inputs for some rows: graph inputs from their copies, states from their buffers. */
  #values(part: NetworkPart, rows: readonly Row[], states: readonly State[][]): Record<string, readonly RowValue[]> {
    const values: Record<string, readonly RowValue[]> = {}
    for (const name of part.inputs) values[name] = rows.flatMap((row) => row.values.get(name) ?? [])
    for (const [name, maker] of part.states) {
      values[name] = (states[maker] ?? []).flatMap((state) => state.buffers.get(name) ?? [])
    }
    return values
  }

  #key(part: NetworkPart, row: Row): string {
    return [part.index, this.#identity, ...part.dependsOn.map((name) => row.hashes.get(name))].join(' ')
  }
}

function hashOf(value: Float32Array | Int32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
    .digest('base64')
}

function typeName(value: unknown): string {
  return value === null ? 'null' : typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value
}
