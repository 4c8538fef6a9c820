/** A component's networks by sizes and outputs: weights opened once, graphs compiled when first needed, the last used ones kept. */

import { type Device, DeviceWeights, type LoadOptions, loadNetwork, type Network } from '../bindings'
import { SharedWork } from '../bindings/sharedWork'
import type { CompileOptions } from '../compile/compile'
import { EngineError } from '../errors'
import { graphInputs } from '../graph/graph'
import type { Form, ModelGraph, Sizes } from '../models'
import type { ComponentModel } from './componentModel'

/** Networks that are kept when nobody uses them. */
const KEPT_NETWORKS = 8

/** A network for one set of sizes and outputs. */
interface Shaped {
  readonly key: string
  readonly model: ModelGraph
  /** Graph inputs that the asked outputs depend on. */
  readonly inputs: ReadonlySet<string>
  readonly work: SharedWork<Network>
  /** Once it is loaded. */
  network?: Network
  /** Leases, and calls that wait for one. */
  users: number
}

/** A network in use: it stays until it is given back. */
export interface NetworkLease extends Disposable {
  readonly network: Network
  readonly model: ModelGraph
  /** Graph inputs that the asked outputs depend on. */
  readonly inputs: ReadonlySet<string>
}

/** Which network: sizes of the free axes, the outputs where not all that are made by default, and the form. */
export interface Shape {
  readonly sizes: Sizes
  readonly outputs?: readonly string[] | undefined
  /** @defaultValue 'plain' */
  readonly form?: Form | undefined
}

/** What networks compute in; `undefined` for the device's preferred type, and nothing quantised. */
export type NumberOptions = Pick<CompileOptions, 'dtype' | 'quantize'>

export class ComponentNetworks {
  readonly weights: DeviceWeights
  readonly #device: Device
  readonly #model: ComponentModel
  readonly #numbers: NumberOptions
  readonly #shaped = new Map<string, Shaped>() // in order of last use
  readonly #networks = new Set<Network>()
  #users = 0
  #onFree: (() => void) | undefined

  constructor(device: Device, model: ComponentModel, numbers: NumberOptions) {
    this.weights = new DeviceWeights(device, model.checkpoint)
    this.#device = device
    this.#model = model
    this.#numbers = numbers
  }

  get disposed(): boolean {
    return this.#onFree !== undefined
  }

  /**
   * The network for sizes and outputs, compiled and bound at the first call; loading is given up when nobody waits for
   * it any more.
   *
   * @param options - `onProgress` hears of the weights where this call is the one that loads them.
   *
   * Throws what {@link loadNetwork} does, `shape-mismatch` for sizes that the network cannot take, `invalid-argument` for
   * a form that it does not have, `disposed`.
   */
  async lease(shape: Shape, options: LoadOptions = {}): Promise<NetworkLease> {
    const shaped = this.#find(shape, options.onProgress)
    shaped.users += 1
    this.#users += 1
    try {
      const network = await shaped.work.join(options.signal)
      let held = true
      const giveBack = () => {
        if (held) this.#giveBack(shaped)
        held = false
      }
      return { network, model: shaped.model, inputs: shaped.inputs, [Symbol.dispose]: giveBack }
    } catch (error) {
      this.#giveBack(shaped)
      throw error
    }
  }

  /** Bytes held by packs and by states of earlier runs, and how many networks there are. */
  memory(): { readonly packBytes: number; readonly stateBytes: number; readonly networks: number } {
    const stateBytes = [...this.#networks].reduce((sum, network) => sum + network.memory().stateBytes, 0)
    return { packBytes: this.weights.memory().packBytes, stateBytes, networks: this.#networks.size }
  }

  /**
   * Networks in use are given back first; new leases are refused. Idempotent.
   *
   * @param onFree - called when nothing is left.
   */
  dispose(onFree: () => void = () => undefined): void {
    if (this.disposed) return
    this.#onFree = onFree
    this.#shrink()
    this.#free()
  }

  #find({ sizes, outputs, form }: Shape, onProgress: LoadOptions['onProgress']): Shaped {
    if (this.disposed) {
      const { name } = this.#model
      throw new EngineError('disposed', `component "${name}": expected one in use, got a disposed one`)
    }
    const key = JSON.stringify([Object.entries(sizes).sort(), outputs ?? null, form ?? 'plain'])
    const known = this.#shaped.get(key)
    this.#shaped.delete(key)
    const shaped = known && !known.work.cancelled ? known : this.#start(key, { sizes, outputs, form }, onProgress)
    this.#shaped.set(key, shaped)
    return shaped
  }

  #start(key: string, { sizes, outputs, form }: Shape, onProgress: LoadOptions['onProgress']): Shaped {
    const { name, definition, config, place } = this.#model
    if (form === 'controlled' && !definition.ports(config, place).inputs.some((port) => port.form === form)) {
      const got = `component "${name}" (${definition.className})`
      throw new EngineError('invalid-argument', `network: expected one that residuals can be added to, got ${got}`)
    }
    const model = definition.build(config, place, sizes, outputs, form)
    const options = { ...this.#numbers, onProgress }
    const work = new SharedWork(
      async (signal) => {
        const network = await loadNetwork(this.#device, model.graph, this.weights, { ...options, signal })
        this.#networks.add(network)
        shaped.network = network
        return network
      },
      (unwanted) => this.#drop(unwanted),
    )
    const inputs = new Set(graphInputs(model.graph).map((value) => value.at))
    const shaped: Shaped = { key, model, inputs, work, users: 0 }
    work.onFailure(() => {
      if (this.#shaped.get(key) === shaped) this.#shaped.delete(key)
    })
    return shaped
  }

  #giveBack(shaped: Shaped): void {
    shaped.users -= 1
    this.#users -= 1
    this.#shrink()
    this.#free()
  }

  /** Lets go of the longest unused networks beyond those kept; of all when disposed. */
  #shrink(): void {
    const kept = this.disposed ? 0 : KEPT_NETWORKS
    for (const { key, users, network } of this.#shaped.values()) {
      if (this.#shaped.size <= kept) return
      if (users > 0) continue
      this.#shaped.delete(key)
      // Without one, everyone left before it was loaded: what still comes is dropped when it comes.
      if (network) this.#drop(network)
    }
  }

  #drop(network: Network): void {
    this.#networks.delete(network)
    network.dispose()
  }

  #free(): void {
    if (!this.#onFree || this.#users > 0) return
    this.weights.dispose()
    this.#onFree()
  }
}
