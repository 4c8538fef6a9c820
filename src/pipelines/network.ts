/** One component of a pipeline on its device: rows in and out by graph names, pictures channels-last. */

import type { Device, LoadProgress, NetworkRow } from '../bindings'
import type { NetworkDType } from '../compile/compile'
import { EngineError } from '../errors'
import type { Sizes } from '../models'
import { type ComponentModel, openComponent } from './componentModel'
import { ComponentNetworks, type NetworkLease } from './componentNetworks'

/** How a pipeline's networks are loaded. */
export interface NetworkOptions {
  readonly dtype: NetworkDType | undefined
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((component: string, progress: LoadProgress) => void) | undefined
}

export class PipelineNetwork {
  readonly model: ComponentModel
  readonly #networks: ComponentNetworks
  readonly #outputs: readonly [string]
  readonly #onProgress: NetworkOptions['onProgress']

  private constructor(device: Device, model: ComponentModel, output: string, options: NetworkOptions) {
    this.model = model
    this.#networks = new ComponentNetworks(device, model, options.dtype)
    this.#outputs = [output]
    this.#onProgress = options.onProgress
  }

  /**
   * Opens a component's files; nothing is packed yet.
   *
   * @param folder - of the pipeline.
   * @param name - `transformer`, `vae.decoder`.
   * @param className - the class it must be.
   * @param output - the output that is asked for.
   * @throws {@link EngineError} `unsupported-model` for another class; what opening the files throws.
   */
  static async open(
    device: Device,
    folder: string,
    name: string,
    className: string,
    output: string,
    options: NetworkOptions,
  ): Promise<PipelineNetwork> {
    const model = await openComponent(folder, name)
    const got = model.definition.className
    if (got === className) return new PipelineNetwork(device, model, output, options)
    const message = `${model.place.configFile ?? name}: expected the class ${className}, got ${got}`
    throw new EngineError('unsupported-model', message, { expected: className, got })
  }

  /** Files its weights are in. */
  get files(): string[] {
    return [...new Set([...this.model.checkpoint.tensors.values()].map(({ file }) => file))]
  }

  /** Makes the network for sizes ready ahead of its first run, telling the pipeline's loader how far it is. */
  async load(sizes: Sizes, signal: AbortSignal | undefined): Promise<void> {
    const tell = this.#onProgress
    const onProgress = tell && ((progress: LoadProgress) => tell(this.model.name, progress))
    using _lease = await this.#networks.lease({ sizes, outputs: this.#outputs }, { signal, onProgress })
  }

  /** The network for sizes, held until the lease is disposed. */
  lease(sizes: Sizes, signal: AbortSignal | undefined): Promise<NetworkLease> {
    return this.#networks.lease({ sizes, outputs: this.#outputs }, { signal })
  }

  /** Runs rows whose inputs are the graph's, and stay as they are meanwhile; gives the asked output of each. */
  async run(sizes: Sizes, rows: readonly NetworkRow[], signal: AbortSignal): Promise<Float32Array[]> {
    using lease = await this.lease(sizes, signal)
    const results = await lease.network.run(rows, { signal, arrays: 'lent' })
    const [output] = this.#outputs
    return results.map((result) => {
      const values = result[output]
      if (values !== undefined) return values
      throw new EngineError('internal', `${this.model.name}: expected the output ${output}, got none`)
    })
  }

  /** Runs under way are finished first. Idempotent. */
  dispose(): void {
    this.#networks.dispose()
  }
}
