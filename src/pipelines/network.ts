/** One component of a pipeline on its device: rows in and out by graph names, pictures channels-last. */

import type { Device, LoadProgress, NetworkRow } from '../bindings'
import { EngineError } from '../errors'
import type { Sizes } from '../models'
import { patchCheckpoint, type WeightPatch } from '../weights'
import { type ComponentModel, openComponent } from './componentModel'
import { ComponentNetworks, type NetworkLease, type NumberOptions, type Shape } from './componentNetworks'

/** How a pipeline's networks are loaded. */
export interface NetworkOptions extends NumberOptions {
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((component: string, progress: LoadProgress) => void) | undefined
}

/** Which network of a component, and what it is to give, by the framework's names. */
export interface RunShape extends Shape {
  readonly outputs: readonly string[]
}

/** Most of the device's memory that the work space of one run may take; more rows are run one group after the other. */
const WORK_SPACE_SHARE = 0.125

export class PipelineNetwork {
  readonly device: Device
  #model: ComponentModel
  #networks: ComponentNetworks
  readonly #numbers: NumberOptions
  readonly #onProgress: NetworkOptions['onProgress']

  private constructor(device: Device, model: ComponentModel, options: NetworkOptions) {
    this.device = device
    this.#model = model
    const { dtype, quantize } = options
    this.#numbers = { dtype, quantize }
    this.#networks = new ComponentNetworks(device, model, this.#numbers)
    this.#onProgress = options.onProgress
  }

  /**
   * Opens a component's files; nothing is packed yet.
   *
   * @param path - of the pipeline, of the component's own folder or of a file.
   * @param name - `transformer`, `vae.decoder`.
   * @param classNames - it must be of one of them.
   * @throws {@link EngineError} `unsupported-model` for another class; what opening the files throws.
   */
  static async open(
    device: Device,
    path: string,
    name: string,
    classNames: readonly string[],
    options: NetworkOptions,
  ): Promise<PipelineNetwork> {
    const model = await openComponent(path, name)
    const got = model.definition.className
    if (classNames.includes(got)) return new PipelineNetwork(device, model, options)
    const where = model.place.configFile ?? name
    const message = `${where}: expected the class ${classNames.join(' or ')}, got ${got}`
    throw new EngineError('unsupported-model', message, { expected: classNames, got })
  }

  get model(): ComponentModel {
    return this.#model
  }

  /**
   * Puts a patch on the weights, before the first run. Packs that it does not touch are those of the plain weights, where
   * another network on the device holds them.
   */
  patch(patch: WeightPatch): void {
    const checkpoint = patchCheckpoint(this.#model.checkpoint, patch)
    this.#networks.dispose()
    this.#model = { ...this.#model, checkpoint }
    this.#networks = new ComponentNetworks(this.device, this.#model, this.#numbers)
  }

  /** Files its weights are in. */
  get files(): string[] {
    return [...new Set([...this.model.checkpoint.tensors.values()].map(({ file }) => file))]
  }

  /** Whether the network has an input of that name, whatever its sizes. */
  reads(input: string): boolean {
    return this.model.ports.inputs.some((port) => port.input === input)
  }

  /** Makes a network ready ahead of its first run, telling the pipeline's loader how far it is. */
  async load(shape: RunShape, signal: AbortSignal | undefined): Promise<void> {
    const tell = this.#onProgress
    const onProgress = tell && ((progress: LoadProgress) => tell(this.model.name, progress))
    using _lease = await this.#networks.lease(shape, { signal, onProgress })
  }

  /** A network, held until the lease is disposed. */
  lease(shape: RunShape, signal: AbortSignal | undefined): Promise<NetworkLease> {
    return this.#networks.lease(shape, { signal })
  }

  /** Work space of one row. */
  async workBytes(shape: RunShape, signal: AbortSignal | undefined): Promise<number> {
    using lease = await this.lease(shape, signal)
    return lease.network.workBytes
  }

  /**
   * Runs rows whose inputs are the graph's, and stay as they are meanwhile.
   *
   * @returns what was asked for, of each row, in the order of `outputs`.
   */
  async run(shape: RunShape, rows: readonly NetworkRow[], signal: AbortSignal): Promise<Float32Array[][]> {
    using lease = await this.lease(shape, signal)
    const results: Float32Array[][] = []
    for (const some of groupsOf(rows, lease)) {
      for (const result of await lease.network.run(some, { signal, arrays: 'lent' })) {
        results.push(lease.model.outputs.map(({ output }) => result[output] ?? new Float32Array(0)))
      }
    }
    return results
  }

  /** As {@link run}, for a network that gives one thing. */
  async runOne(
    sizes: Sizes,
    output: string,
    rows: readonly NetworkRow[],
    signal: AbortSignal,
  ): Promise<Float32Array[]> {
    const results = await this.run({ sizes, outputs: [output] }, rows, signal)
    return results.map(([values = new Float32Array(0)]) => values)
  }

  /** Runs under way are finished first. Idempotent. */
  dispose(): void {
    this.#networks.dispose()
  }
}

/** Rows in groups whose work space fits the device; results do not depend on it. */
export function groupsOf<T>(rows: readonly T[], { network }: NetworkLease): T[][] {
  const most = (network.device.info.memoryBytes * WORK_SPACE_SHARE) / Math.max(1, network.workBytes)
  const size = Math.max(1, Math.floor(most))
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, i) => rows.slice(i * size, (i + 1) * size))
}
