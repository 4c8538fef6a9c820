/** One network of a model folder on a device: weights opened once, graphs compiled per size when first needed. */

import type { Device } from '../bindings/device'
import { DeviceWeights, type LoadProgress } from '../bindings/deviceWeights'
import { loadNetwork, type Network } from '../bindings/network'
import { readSafetensorsIndex } from '../bindings/safetensorsIndex'
import { EngineError } from '../errors'
import { type ModelDefinition, modelDefinition, type Place, type Sizes } from '../models'
import { openCheckpoint } from '../weights/checkpoint'
import type { JsonObject } from '../weights/jsonFields'
import { type ComponentSource, findComponent, type ModelFolder } from '../weights/modelFolder'
import { rename } from '../weights/renames'
import { untilAborted } from './untilAborted'

/** How networks are loaded. */
export interface NetworkOptions {
  readonly dtype: 'f32' | 'bf16' | 'f16' | undefined
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((component: string, progress: LoadProgress) => void) | undefined
}

/** A component with its weights at hand. */
export class ComponentNetworks {
  readonly config: JsonObject
  readonly source: ComponentSource
  readonly #device: Device
  readonly #definition: ModelDefinition
  readonly #place: Place
  readonly #weights: DeviceWeights
  readonly #output: string
  readonly #options: NetworkOptions
  readonly #networks = new Map<string, Promise<Network>>()
  #disposed = false

  private constructor(
    device: Device,
    source: ComponentSource,
    definition: ModelDefinition,
    place: Place,
    weights: DeviceWeights,
    output: string,
    options: NetworkOptions,
  ) {
    this.#device = device
    this.source = source
    this.config = source.config ?? {}
    this.#definition = definition
    this.#place = place
    this.#weights = weights
    this.#output = output
    this.#options = options
  }

  /**
   * Opens a component's files; nothing is packed yet.
   *
   * @param name - `transformer`, `vae.decoder`.
   * @param className - the class it must be.
   * @param output - the output port that is asked for.
   * @throws {@link EngineError} `unsupported-model` for another class; what opening the files throws.
   */
  static async open(
    device: Device,
    model: ModelFolder,
    name: string,
    className: string,
    output: string,
    options: NetworkOptions,
  ): Promise<ComponentNetworks> {
    const source = await findComponent(model, name)
    const definition = modelDefinition(source.className ?? 'none', source.config)
    if (definition.className !== className) {
      const message = `${source.configFile}: expected the class ${className}, got ${definition.className}`
      throw new EngineError('unsupported-model', message, { expected: className, got: definition.className })
    }
    const place: Place = { component: source.name, part: source.part, configFile: source.configFile }
    const { files, weightMap } = source.weights
    const table = definition.renames(source.config, place)
    const checkpoint = await openCheckpoint(files, {
      readIndex: (file) => readSafetensorsIndex(file, { signal: options.signal }),
      rename: (tensor) => rename(tensor, table),
      weightMap,
    })
    const weights = new DeviceWeights(device, checkpoint)
    return new ComponentNetworks(device, source, definition, place, weights, output, options)
  }

  /** The network for sizes, compiled and bound at the first call; a caller that gives up does not stop it for others. */
  load(sizes: Sizes, signal: AbortSignal | undefined): Promise<Network> {
    if (this.#disposed) {
      return Promise.reject(new EngineError('disposed', `${this.source.name}: expected an open network, got a disposed one`))
    }
    const key = JSON.stringify(sizes)
    let network = this.#networks.get(key)
    if (network === undefined) {
      network = this.#make(sizes)
      this.#networks.set(key, network)
      network.catch(() => this.#networks.delete(key))
    }
    return untilAborted(network, signal)
  }

  /** Runs rows whose inputs are those of the graph; gives the asked output of each. */
  async run(
    sizes: Sizes,
    rows: readonly Readonly<Record<string, Float32Array | Int32Array>>[],
    signal: AbortSignal,
  ): Promise<Float32Array[]> {
    const network = await this.load(sizes, signal)
    const results = await network.run(rows.map((inputs) => ({ inputs })), { signal })
    return results.map((result) => {
      const values = result[this.#output]
      if (values instanceof Float32Array) return values
      throw new EngineError('internal', `${this.source.name}: expected the output ${this.#output}, got none`)
    })
  }

  dispose(): void {
    this.#disposed = true
    for (const network of this.#networks.values()) {
      network.then(
        (loaded) => loaded.dispose(),
        () => undefined,
      )
    }
    this.#networks.clear()
    this.#weights.dispose()
  }

  async #make(sizes: Sizes): Promise<Network> {
    const { graph } = this.#definition.build(this.source.config, this.#place, sizes, [this.#output])
    const { dtype, onProgress } = this.#options
    const { name } = this.source
    return loadNetwork(this.#device, graph, this.#weights, {
      dtype,
      onProgress: (progress) => onProgress?.(name, progress),
    })
  }
}
