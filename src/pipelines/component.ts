/** One network with typed arrays in and out: a component of a model folder on a device. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { type DeviceOptions, type LoadProgress, type NetworkRow, openDevice } from '../bindings'
import { Device } from '../bindings/device'
import { type CompileOptions, compile, type NetworkDType } from '../compile/compile'
import { QUANTIZATIONS, type Quantization } from '../compile/passes/quantize'
import { EngineError, throwIfAborted } from '../errors'
import type { ModelPorts } from '../models'
import type { Tensor } from '../tensor/tensor'
import { checkNames, invalidOption, show, signalOption, stringOption, wordOption } from '../text/givenOptions'
import { type ComponentModel, openComponent } from './componentModel'
import { ComponentNetworks } from './componentNetworks'
import { publishLoad } from './diagnostics'
import { bindInputs, type ComponentInput, gatherOutputs } from './ports'

export interface ComponentOptions {
  /** A backend's name, or a device that is open already (then shared, and not closed with the component). @defaultValue `'cpu'` */
  readonly device?: DeviceOptions['device'] | Device
  /** Type of activations and matrices. @defaultValue the device's preferred type */
  readonly dtype?: NetworkDType
  /**
   * `int8`: most products over int8, weights with a scale per output and activations as they come, where the device
   * gains by it; `int8-weights`: only the weights are kept as int8; `bf16-weights`: float32 weights are kept as bfloat16.
   * @defaultValue `'none'`
   */
  readonly quantize?: Quantization
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
 * @throws {@link EngineError} `invalid-argument` when they are no strings; `missing-file`, `unknown-component`,
 * `unsupported-model`, `unsupported-format` when there is no such network; `invalid-config`, `invalid-safetensors`, `missing-tensor`, `shape-mismatch` when its files are
 * wrong; `unknown-option`, `invalid-option`, `unavailable-device`; an AbortError when the signal fires.
 */
export async function loadComponent(path: string, name: string, options: ComponentOptions = {}): Promise<Component> {
  checkString('path', 'a model, folder or file', path)
  checkString('name', 'a component', name)
  const given = checkNames('loadComponent', options, [
    'device',
    'dtype',
    'quantize',
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
  const asked = {
    dtype: wordOption(given, 'dtype', ['f32', 'bf16', 'f16']),
    quantize: wordOption(given, 'quantize', QUANTIZATIONS),
  }
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

function checkString(argument: string, what: string, got: unknown): void {
  if (typeof got === 'string' && got !== '') return
  const message = `loadComponent: ${argument}: expected the name of ${what}, got ${show(got)}`
  throw new EngineError('invalid-argument', message, { argument, got })
}

/** Opens the device where none was given, and puts the weights on it. */
async function bind(
  model: ComponentModel,
  options: ComponentOptions,
  { dtype: asked, quantize = 'none' }: Pick<CompileOptions, 'dtype' | 'quantize'>,
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
  let networks: ComponentNetworks | undefined
  try {
    if (dtype !== 'f32' && dtype !== 'bf16' && dtype !== 'f16') throw invalidOption('dtype', 'f32, bf16 or f16', dtype)
    // The weights are read now, for the smallest sizes: packs do not depend on sizes, so later runs find them made.
    networks = new ComponentNetworks(opened, model, { dtype, quantize })
    const { definition, config, place, ports, smallest } = model
    await nextTurn()
    const graph = ports.outputs.some((port) => port.onDemand)
      ? definition.build(config, place, ports.smallest).graph
      : smallest
    const { parts } = await compile(graph, opened.capabilities, { dtype, quantize, signal })
    await networks.weights.packs(
      parts.flatMap((part) => part.signature.params),
      { signal, onProgress },
    )
    return new Component(model, opened, networks, { dtype, quantize }, shared === undefined)
  } catch (error) {
    networks?.dispose()
    if (!shared) opened.dispose()
    throw error
  }
}

/** A loaded network. Runs of different sizes compile once each; runs may overlap. */
export class Component {
  readonly name: string
  /** Class of diffusers or transformers. */
  readonly className: string
  readonly dtype: NetworkDType
  readonly quantize: Quantization
  readonly device: Device
  /** What goes in and comes out. */
  readonly ports: ModelPorts
  /** Tensors of the files that the network does not read. */
  readonly unused: readonly string[]
  /** Differs when the weights' files do. */
  readonly identity: string
  readonly #networks: ComponentNetworks
  readonly #ownsDevice: boolean

  /** @internal Use {@link loadComponent}. */
  constructor(
    model: ComponentModel,
    device: Device,
    networks: ComponentNetworks,
    { dtype, quantize }: Pick<Component, 'dtype' | 'quantize'>,
    ownsDevice: boolean,
  ) {
    this.name = model.name
    this.className = model.definition.className
    this.dtype = dtype
    this.quantize = quantize
    this.device = device
    this.ports = model.ports
    this.unused = model.report.unused
    this.identity = networks.weights.identity
    this.#networks = networks
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
    if (this.#networks.disposed)
      throw new EngineError('disposed', `component "${this.name}": expected one in use, got a disposed one`)
    const signal = signalOption(checkNames('run', options, ['signal', 'outputs']))
    const { outputs } = options
    if (outputs !== undefined && !(Array.isArray(outputs) && outputs.every((output) => typeof output === 'string'))) {
      throw invalidOption('outputs', 'a list of names', outputs)
    }
    throwIfAborted(signal)
    const { sizes, form, rows } = bindInputs(this.name, this.ports, inputs)
    using lease = await this.#networks.lease({ sizes, outputs, form }, { signal })
    const { network, model, inputs: wanted } = lease
    const results = await network.run(
      rows.map((row) => only(wanted, row)),
      { signal, arrays: 'given' },
    )
    return gatherOutputs(model.outputs, model.graph, results)
  }

  /** Bytes held by packs and by states of earlier runs. */
  memory(): ComponentMemory {
    const { packBytes, stateBytes, networks } = this.#networks.memory()
    return { packBytes, stateBytes, shapes: networks }
  }

  /** Runs under way are finished first; new ones are refused. Idempotent. */
  dispose(): void {
    this.#networks.dispose(() => {
      if (this.#ownsDevice) this.device.dispose()
    })
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** The inputs a graph has: pooled vectors need more than states do. */
function only(names: ReadonlySet<string>, { inputs }: NetworkRow): NetworkRow {
  return { inputs: Object.fromEntries(Object.entries(inputs).filter(([name]) => names.has(name))) }
}
