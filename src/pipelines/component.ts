/** One network with typed arrays in and out: a component of a model folder on a device. */

import {
  type DeviceOptions,
  DeviceWeights,
  type LoadProgress,
  loadNetwork,
  type Network,
  type NetworkRow,
  openDevice,
} from '../bindings'
import { Device } from '../bindings/device'
import { SharedWork } from '../bindings/sharedWork'
import { compile, type NetworkDType } from '../compile/compile'
import { EngineError, throwIfAborted } from '../errors'
import { graphInputs } from '../graph/graph'
import type { ModelGraph, ModelPorts, Sizes } from '../models'
import type { Tensor } from '../tensor/tensor'
import { checkNames, invalidOption, signalOption, stringOption, wordOption } from '../text/givenOptions'
import { type ComponentModel, openComponent } from './componentModel'
import { publishLoad } from './diagnostics'
import { bindInputs, type ComponentInput, gatherOutputs } from './ports'

/** Networks of one component that are kept compiled, the last used ones. */
const KEPT_SHAPES = 8

export interface ComponentOptions {
  /** A backend's name, or a device that is open already (then shared, and not closed with the component). @defaultValue `'cpu'` */
  readonly device?: DeviceOptions['device'] | Device
  /** Type of activations and matrices. @defaultValue the device's preferred type */
  readonly dtype?: NetworkDType
  /** @see {@link DeviceOptions} */
  readonly instructions?: DeviceOptions['instructions']
  /** @see {@link DeviceOptions} */
  readonly threads?: DeviceOptions['threads']
  /** `fp16`, `bf16`: which weight files, where there are several. */
  readonly variant?: string
  /** Ends loading with an AbortError. */
  readonly signal?: AbortSignal
  /** Called as weights are read. */
  readonly onProgress?: (progress: LoadProgress) => void
}

export interface ComponentRunOptions {
  /** Ends the run with an AbortError. */
  readonly signal?: AbortSignal
  /** Which outputs to make. @defaultValue all but those that only a few ask for, `hidden_states.3` */
  readonly outputs?: readonly string[]
}

/** Bytes of a component. */
export interface ComponentMemory {
  readonly packBytes: number
  readonly stateBytes: number
  /** Sizes that are compiled. */
  readonly shapes: number
}

/**
 * Loads one network of a model.
 *
 * @param path - a bundled model's name, a diffusers folder, a component's folder, or a safetensors file that is known without a config.
 * @param name - the sub-folder's name, `transformer`, `text_encoder`, `vae.decoder`.
 *
 * @throws {@link EngineError} `missing-file`, `unknown-component`, `unsupported-model`, `unsupported-format` when there
 * is no such network; `invalid-config`, `invalid-safetensors`, `missing-tensor`, `shape-mismatch` when its files are
 * wrong; `unknown-option`, `invalid-option`, `unavailable-device`; an AbortError when the signal fires.
 */
export async function loadComponent(path: string, name: string, options: ComponentOptions = {}): Promise<Component> {
  const given = checkNames('loadComponent', options, [
    'device',
    'dtype',
    'instructions',
    'threads',
    'variant',
    'signal',
    'onProgress',
  ])
  const signal = signalOption(given)
  const variant = stringOption(given, 'variant')
  const { onProgress } = options
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidOption('onProgress', 'a function', onProgress)
  const asked = wordOption(given, 'dtype', ['f32', 'bf16', 'f16'])
  throwIfAborted(signal)
  const started = performance.now()
  publishLoad({ model: path, component: name, phase: 'start' })
  try {
    const model = await openComponent(path, name, {
      ...(variant === undefined ? {} : { variant }),
      ...(signal ? { signal } : {}),
    })
    throwIfAborted(signal)
    const loaded = await bind(model, options, asked)
    publishLoad({
      model: path,
      component: name,
      phase: 'end',
      durationMs: performance.now() - started,
      unused: loaded.unused,
    })
    return loaded
  } catch (error) {
    publishLoad({ model: path, component: name, phase: 'error', durationMs: performance.now() - started, error })
    throw error
  }
}

/** Opens the device where none was given, and puts the weights on it. */
async function bind(
  model: ComponentModel,
  options: ComponentOptions,
  asked: NetworkDType | undefined,
): Promise<Component> {
  const { device, instructions, threads, signal, onProgress } = options
  const shared = device instanceof Device ? device : undefined
  if (shared && (instructions !== undefined || threads !== undefined)) {
    throw invalidOption(
      instructions === undefined ? 'threads' : 'instructions',
      'nothing beside an open device',
      instructions ?? threads,
    )
  }
  const opened = shared ?? openDevice({ device: device as DeviceOptions['device'], instructions, threads })
  const dtype = asked ?? opened.capabilities.preferredDtype
  const weights = new DeviceWeights(opened, model.checkpoint)
  try {
    if (dtype !== 'f32' && dtype !== 'bf16' && dtype !== 'f16') throw invalidOption('dtype', 'f32, bf16 or f16', dtype)
    // The weights are read now, for the smallest sizes: packs do not depend on sizes, so later runs find them made.
    const { graph } = model.definition.build(model.config, model.place, model.ports.smallest)
    const { parts } = await compile(graph, opened.capabilities, { dtype, signal })
    await weights.packs(
      parts.flatMap((part) => part.signature.params),
      { signal, onProgress },
    )
    return new Component(model, opened, weights, dtype, shared === undefined)
  } catch (error) {
    weights.dispose()
    if (!shared) opened.dispose()
    throw error
  }
}

/** A network for one set of sizes and outputs. */
interface Shaped {
  readonly model: ModelGraph
  readonly network: SharedWork<Network>
  /** Graph inputs that the asked outputs depend on. */
  readonly inputs: ReadonlySet<string>
  /** Runs that use it or wait for it. */
  users: number
  /** No new run will find it: it goes when its last user leaves. */
  evicted: boolean
}

/** A loaded network. Runs of different sizes compile once each; runs may overlap. */
export class Component {
  readonly name: string
  /** Class of diffusers or transformers. */
  readonly className: string
  readonly dtype: NetworkDType
  readonly device: Device
  /** What goes in and comes out. */
  readonly ports: ModelPorts
  /** Tensors of the files that the network does not read. */
  readonly unused: readonly string[]
  /** Differs when the weights' files do. */
  readonly identity: string
  readonly #model: ComponentModel
  readonly #weights: DeviceWeights
  readonly #ownsDevice: boolean
  readonly #shapes = new Map<string, Shaped>()
  readonly #networks = new Set<Network>()
  #pending = 0
  #disposed = false

  /** @internal Use {@link loadComponent}. */
  constructor(model: ComponentModel, device: Device, weights: DeviceWeights, dtype: NetworkDType, ownsDevice: boolean) {
    this.name = model.name
    this.className = model.definition.className
    this.dtype = dtype
    this.device = device
    this.ports = model.ports
    this.unused = model.report.unused
    this.identity = weights.identity
    this.#model = model
    this.#weights = weights
    this.#ownsDevice = ownsDevice
  }

  /**
   * Runs the network.
   *
   * @param inputs - by the framework's names; first axis the rows, pictures [B, C, H, W].
   * @returns outputs by the framework's names, float32, first axis the rows.
   *
   * @throws {@link EngineError} `unknown-input`, `missing-input`, `shape-mismatch`, `dtype-mismatch`,
   * `invalid-argument`, `unknown-option`, `disposed`, `out-of-memory`; an AbortError when the signal fires.
   */
  async run(
    inputs: Readonly<Record<string, ComponentInput>>,
    options: ComponentRunOptions = {},
  ): Promise<Record<string, Tensor>> {
    if (this.#disposed)
      throw new EngineError('disposed', `component "${this.name}": expected one in use, got a disposed one`)
    const signal = signalOption(checkNames('run', options, ['signal', 'outputs']))
    const { outputs } = options
    if (outputs !== undefined && !(Array.isArray(outputs) && outputs.every((output) => typeof output === 'string'))) {
      throw invalidOption('outputs', 'a list of names', outputs)
    }
    throwIfAborted(signal)
    const { sizes, rows } = bindInputs(this.name, this.ports, inputs)
    const shaped = this.#shaped(sizes, outputs)
    shaped.users += 1
    this.#pending += 1
    try {
      const network = await shaped.network.join(signal)
      const results = await network.run(
        rows.map((row) => only(shaped.inputs, row)),
        signal ? { signal } : {},
      )
      return gatherOutputs(shaped.model.outputs, shaped.model.graph, results)
    } finally {
      this.#pending -= 1
      shaped.users -= 1
      this.#free(shaped)
      if (this.#disposed && this.#pending === 0) this.#freeAll()
    }
  }

  /** Bytes held by packs and by states of earlier runs. */
  memory(): ComponentMemory {
    const stateBytes = [...this.#networks].reduce((sum, network) => sum + network.memory().stateBytes, 0)
    return { packBytes: this.#weights.memory().packBytes, stateBytes, shapes: this.#networks.size }
  }

  /** Runs under way are finished first; new ones are refused. Idempotent. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    for (const shaped of this.#shapes.values()) this.#evict(shaped)
    this.#shapes.clear()
    if (this.#pending === 0) this.#freeAll()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #shaped(sizes: Sizes, outputs: readonly string[] | undefined): Shaped {
    const key = JSON.stringify([Object.entries(sizes).sort(), outputs ?? null])
    const known = this.#shapes.get(key)
    this.#shapes.delete(key)
    const shaped = known && !known.network.cancelled ? known : this.#load(key, sizes, outputs)
    this.#shapes.set(key, shaped)
    for (const [oldest, entry] of this.#shapes) {
      if (this.#shapes.size <= KEPT_SHAPES) break
      this.#shapes.delete(oldest)
      this.#evict(entry)
    }
    return shaped
  }

  #load(key: string, sizes: Sizes, outputs: readonly string[] | undefined): Shaped {
    const model = this.#model.definition.build(this.#model.config, this.#model.place, sizes, outputs)
    const network = new SharedWork(async (signal) => {
      const loaded = await loadNetwork(this.device, model.graph, this.#weights, { dtype: this.dtype, signal })
      this.#networks.add(loaded)
      return loaded
    })
    const inputs = new Set(graphInputs(model.graph).map((value) => value.at))
    const shaped: Shaped = { model, network, inputs, users: 0, evicted: false }
    network.onFailure(() => {
      if (this.#shapes.get(key) === shaped) this.#shapes.delete(key)
    })
    return shaped
  }

  #evict(shaped: Shaped): void {
    shaped.evicted = true
    this.#free(shaped)
  }

  #free({ network, users, evicted }: Shaped): void {
    if (!evicted || users > 0 || network.cancelled) return
    network.join().then(
      (loaded) => {
        this.#networks.delete(loaded)
        loaded.dispose()
      },
      () => undefined,
    )
  }

  #freeAll(): void {
    this.#weights.dispose()
    if (this.#ownsDevice) this.device.dispose()
  }
}

/** The inputs a graph has: pooled vectors need more than states do. */
function only(names: ReadonlySet<string>, { inputs }: NetworkRow): NetworkRow {
  return { inputs: Object.fromEntries(Object.entries(inputs).filter(([name]) => names.has(name))) }
}
