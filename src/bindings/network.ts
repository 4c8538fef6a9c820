/** Networks: a compiled graph bound to weights; parts that depend on less than a row run once per distinct content. */

import { portBytes, type SignaturePort } from '../compile/artifact'
import { type CompileOptions, compile } from '../compile/compile'
import { EngineError } from '../errors'
import { type Graph, graphInputs } from '../graph/graph'
import { elements } from '../tensor/shape'
import type { Device, DeviceBuffer } from './device'
import type { DeviceWeights, LoadOptions } from './deviceWeights'
import { type Executable, loadExecutable } from './executable'
import { type ArrayOwner, joinInputs, type NetworkInput, type NetworkInputs, readInputs } from './networkInputs'
import { linkParts, type NetworkPart } from './networkParts'
import { NetworkState } from './networkState'
import { type AcquireOptions, allOf, type PartRow, PartStates, timesOf, valuesOf } from './partStates'

const DEFAULT_STATE_BYTES = 256 * 2 ** 20

/**
 * One row of a network: its graph inputs by name. Arrays are copied at the call where a run reads them later; buffers
 * are read where they are, and must not be written before the run settles.
 */
export interface NetworkRow {
  /** Inputs that other rows have too, from {@link Network.state}; the row's own inputs are the others. */
  readonly state?: NetworkState
  readonly inputs: NetworkInputs
}

export interface NetworkOptions extends LoadOptions, Pick<CompileOptions, 'dtype' | 'quantize' | 'cut' | 'optimise'> {
  /** Most bytes of states kept between runs. @defaultValue 256 MiB */
  readonly stateBytes?: number
}

export interface NetworkRunOptions extends AcquireOptions {
  /**
   * Where outputs go instead of new arrays, one place per row: buffers that later runs read, of this or of another
   * network. What is named here is left out of the result.
   */
  readonly outputs?: Readonly<Record<string, readonly (Float32Array | DeviceBuffer)[]>>
  /**
   * Whose the arrays of rows are: `copied`, the caller's again at once; `lent`, unchanged until the promise settles;
   * `given`, never changed again. Lent ones are copied only where states depend on them. @defaultValue 'copied'
   */
  readonly arrays?: ArrayOwner
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
  const { dtype, quantize, cut, optimise, signal, onProgress, stateBytes = DEFAULT_STATE_BYTES } = options
  if (!(stateBytes >= 0)) {
    throw new EngineError(
      'invalid-option',
      `${graph.name}: stateBytes: expected a number of at least 0, got ${stateBytes}`,
    )
  }
  const compiled = await compile(graph, device.capabilities, { dtype, quantize, cut, optimise, signal })
  const own = weights.fork()
  const executables: Executable[] = []
  try {
    // All parameters at once, for one progress and one report of what is missing.
    await own.packs(
      compiled.parts.flatMap((part) => part.signature.params),
      { signal, onProgress },
    )
    for (const part of compiled.parts) executables.push(await loadExecutable(device, part, own, { signal }))
    return new Network(graph, own, linkParts(executables), compiled.dtype, stateBytes)
  } catch (error) {
    for (const executable of executables) executable.dispose()
    own.dispose()
    throw error
  }
}

export class Network {
  readonly device: Device
  readonly graph: Graph
  /** Graph inputs as a row gives them. */
  readonly inputs: readonly SignaturePort[]
  /** Graph outputs as a run leaves them. */
  readonly outputs: readonly SignaturePort[]
  /** Work space of one row. */
  readonly workBytes: number
  readonly #parts: readonly NetworkPart[]
  readonly #rowPart: NetworkPart
  readonly #known: ReadonlyMap<string, NetworkInput>
  readonly #weights: DeviceWeights
  readonly #states: PartStates
  readonly #handles = new Set<NetworkState>()
  #pending = 0
  #disposed = false

  /** @internal Use {@link loadNetwork}. */
  constructor(graph: Graph, weights: DeviceWeights, parts: readonly NetworkPart[], dtype: string, stateBytes: number) {
    const rowPart = parts.at(-1)
    if (!rowPart) throw new EngineError('internal', `${graph.name}: expected a program, got none`)
    const values = graphInputs(graph)
    this.device = weights.device
    this.graph = graph
    this.inputs = values.map(({ at, dtype, shape }) => ({ name: at, dtype, shape }))
    this.outputs = rowPart.executable.signature.outputs
    this.workBytes = rowPart.executable.signature.arenaBytes
    this.#parts = parts
    this.#rowPart = rowPart
    this.#states = new PartStates(parts.slice(0, -1), weights, dtype, stateBytes)
    this.#known = new Map(
      values.map(({ at, dtype, shape }) => [at, { values: elements(shape), dtype, keyed: this.#states.dependOn(at) }]),
    )
    this.#weights = weights
  }

  /**
   * Inputs that many rows share, read once: a request's prompt for instance. What depends on them alone is kept on the
   * device, whatever else runs, until the handle is disposed.
   *
   * @param inputs - any of the graph inputs. Arrays are copied; buffers must stay as they are.
   *
   * Throws `unknown-input`, `dtype-mismatch`, `shape-mismatch`, `disposed`.
   */
  state(inputs: NetworkInputs): NetworkState {
    this.#assertOpen()
    const read = readInputs(`${this.graph.name}: state`, this.#known, inputs, 'copied')
    const handle = new NetworkState(read, (disposed, pinned) => {
      this.#handles.delete(disposed)
      this.#states.release(pinned)
    })
    this.#handles.add(handle)
    return handle
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
  async run(rows: readonly NetworkRow[], options: NetworkRunOptions = {}): Promise<Record<string, Float32Array>[]> {
    return this.#whilePending(async () => {
      if (rows.length === 0)
        throw new EngineError('invalid-argument', `${this.graph.name}: expected at least one row, got none`)
      const { outputs: placed = {}, arrays = 'copied' } = options
      const read = rows.map((row, index) => this.#readRow(row, index, { complete: true, arrays }))
      const { states, filled } = this.#states.acquire(read, options)
      try {
        const made = new Map(
          this.outputs
            .filter(({ name }) => !Object.hasOwn(placed, name))
            .map((port) => [port.name, rows.map(() => new Float32Array(portBytes(port) / 4))]),
        )
        const ran = this.#rowPart.executable.run({
          rows: rows.length,
          inputs: valuesOf(this.#rowPart, read, states),
          outputs: { ...placed, ...Object.fromEntries(made) },
          signal: options.signal,
          ...timesOf(this.#rowPart, rows.length, options),
        })
        await allOf([filled, ran])
        return rows.map((_, row) =>
          Object.fromEntries([...made].map(([name, values]) => [name, values[row] ?? new Float32Array(0)])),
        )
      } finally {
        this.#states.release(states.flat())
      }
    })
  }

  /**
   * Runs the parts that depend on the given inputs alone, for all rows at once, and keeps their states: all timesteps
   * of a schedule for instance, before the first step.
   *
   * @param rows - any of the graph inputs, and states whose parts they belong to.
   */
  async prepare(rows: readonly NetworkRow[], options: AcquireOptions = {}): Promise<void> {
    return this.#whilePending(async () => {
      const read = rows.map((row, index) => this.#readRow(row, index, { complete: false, arrays: 'copied' }))
      const { states, filled } = this.#states.acquire(read, options)
      await filled.finally(() => this.#states.release(states.flat()))
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
    for (const handle of [...this.#handles]) handle.dispose()
    this.#states.clear()
    for (const { executable } of this.#parts) executable.dispose()
    this.#weights.dispose()
  }

  #assertOpen(): void {
    if (!this.#disposed) return
    throw new EngineError('disposed', `network "${this.graph.name}": expected one in use, got a disposed one`)
  }

  async #whilePending<T>(work: () => Promise<T>): Promise<T> {
    this.#assertOpen()
    this.#pending += 1
    try {
      return await work()
    } finally {
      this.#pending -= 1
      if (this.#disposed && this.#pending === 0) this.#free()
    }
  }

  /** Before the first await of a call: then the caller's arrays are the caller's again. */
  #readRow(
    { state, inputs }: NetworkRow,
    index: number,
    { complete, arrays }: { readonly complete: boolean; readonly arrays: ArrayOwner },
  ): PartRow {
    const place = `${this.graph.name}: row ${index}`
    const shared = state?.read
    if (state && !this.#handles.has(state))
      throw new EngineError('invalid-argument', `${place}: expected a state of this network, got another one's`)
    const own = readInputs(place, this.#known, inputs, arrays)
    return { ...joinInputs(place, this.#known, shared, own, complete), state }
  }
}
