/** One component of a pipeline on its device: weights opened once, graphs compiled per size when first needed. */

import { type Device, DeviceWeights, type LoadProgress, loadNetwork, type Network } from '../bindings'
import { SharedWork } from '../bindings/sharedWork'
import type { NetworkDType } from '../compile/compile'
import { EngineError } from '../errors'
import type { Sizes } from '../models'
import { type ComponentModel, openComponent } from './componentModel'

/** How a pipeline's networks are loaded. */
export interface NetworkOptions {
  readonly dtype: NetworkDType | undefined
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((component: string, progress: LoadProgress) => void) | undefined
}

/** A component whose rows are given and taken by graph names, pictures channels-last. */
export class PipelineNetwork {
  readonly model: ComponentModel
  readonly #device: Device
  readonly #weights: DeviceWeights
  readonly #output: string
  readonly #options: NetworkOptions
  readonly #networks = new Map<string, SharedWork<Network>>()
  #disposed = false

  private constructor(device: Device, model: ComponentModel, output: string, options: NetworkOptions) {
    this.#device = device
    this.model = model
    this.#weights = new DeviceWeights(device, model.checkpoint)
    this.#output = output
    this.#options = options
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

  /** The network for sizes, compiled and bound at the first call; it is given up when nobody waits for it any more. */
  load(sizes: Sizes, signal: AbortSignal | undefined): Promise<Network> {
    const { name } = this.model
    if (this.#disposed) {
      return Promise.reject(new EngineError('disposed', `${name}: expected an open network, got a disposed one`))
    }
    const key = JSON.stringify(sizes)
    const known = this.#networks.get(key)
    const work = known && !known.cancelled ? known : this.#start(key, sizes)
    return work.join(signal)
  }

  /** Runs rows whose inputs are the graph's; gives the asked output of each. */
  async run(
    sizes: Sizes,
    rows: readonly Readonly<Record<string, Float32Array | Int32Array>>[],
    signal: AbortSignal,
  ): Promise<Float32Array[]> {
    const network = await this.load(sizes, signal)
    const results = await network.run(
      rows.map((inputs) => ({ inputs })),
      { signal },
    )
    return results.map((result) => {
      const values = result[this.#output]
      if (values !== undefined) return values
      throw new EngineError('internal', `${this.model.name}: expected the output ${this.#output}, got none`)
    })
  }

  dispose(): void {
    this.#disposed = true
    for (const work of this.#networks.values()) {
      if (work.cancelled) continue
      work.join().then(
        (network) => network.dispose(),
        () => undefined,
      )
    }
    this.#networks.clear()
    this.#weights.dispose()
  }

  #start(key: string, sizes: Sizes): SharedWork<Network> {
    const { definition, config, place, name } = this.model
    const { dtype, onProgress } = this.#options
    const { graph } = definition.build(config, place, sizes, [this.#output])
    const work = new SharedWork((signal) =>
      loadNetwork(this.#device, graph, this.#weights, {
        dtype,
        signal,
        onProgress: (progress) => onProgress?.(name, progress),
      }),
    )
    this.#networks.set(key, work)
    work.onFailure(() => {
      if (this.#networks.get(key) === work) this.#networks.delete(key)
    })
    return work
  }
}
