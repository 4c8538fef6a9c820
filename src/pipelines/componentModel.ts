/** A component on disk as a network that can be built: its class, its config, its tensors under the network's names. */

import { readSafetensorsIndex } from '../bindings'
import { EngineError } from '../errors'
import type { Graph } from '../graph/graph'
import {
  type ModelDefinition,
  type ModelPorts,
  modelDefinition,
  neededTensors,
  type Place,
  recogniseModel,
} from '../models'
import {
  assertComplete,
  type Checkpoint,
  type ModelComponent,
  type NameReport,
  openModel,
  openModelComponent,
  type PredictionType,
  rename,
  renamed,
  report,
} from '../weights'
import { resolveModel } from './bundled'

/** A network and the checkpoint it fits. */
export interface ComponentModel {
  readonly name: string
  readonly definition: ModelDefinition
  readonly config: unknown
  readonly place: Place
  readonly ports: ModelPorts
  readonly checkpoint: Checkpoint
  readonly report: NameReport
  /** The network at its smallest sizes with every output there is. */
  readonly smallest: Graph
}

/** A component whose class is known, before any network is built. */
interface Identified {
  readonly path: string
  readonly source: ModelComponent
  readonly definition: ModelDefinition
  readonly config: unknown
  /** The halves its files hold, `vae.decoder`; `undefined` where it is one network. */
  readonly halves: readonly ('encoder' | 'decoder')[] | undefined
}

export interface OpenComponentOptions {
  readonly variant?: string
  /** What the denoiser of a single file predicts, where its tensors do not tell. */
  readonly prediction?: PredictionType
  readonly signal?: AbortSignal
}

/**
 * Finds a component, reads its config and the headers of its weights, and checks that they fit together.
 *
 * @param path - a bundled model's name, a diffusers folder, a component's folder, or a safetensors file that is known without a config.
 * @param name - `transformer`, `vae.decoder`.
 *
 * Throws `missing-file`, `unknown-component`, `unsupported-model`, `unsupported-format`, `invalid-config`,
 * `invalid-safetensors`, `missing-tensor` and `shape-mismatch` (with all names), `io`.
 */
export async function openComponent(
  path: string,
  name: string,
  options: OpenComponentOptions = {},
): Promise<ComponentModel> {
  const identified = await identify(path, name, options)
  const { source, definition, halves } = identified
  if (halves !== undefined && (source.part === undefined || !halves.includes(source.part))) {
    const known = halves.map((half) => `${source.name}.${half}`)
    const message = `${path}: expected ${known.join(' or ')}, got "${name}"`
    throw new EngineError('unknown-component', message, { name, known })
  }
  if (source.part && halves === undefined) {
    const message = `${path}: expected "${source.name}" (${definition.className} is one network), got "${name}"`
    throw new EngineError('unknown-component', message, { name })
  }
  return matchWeights(identified, name, source.part)
}

/**
 * All networks of a component: the halves its files hold, or the one it is.
 *
 * @param name - `transformer`, `vae`.
 *
 * Throws what {@link openComponent} does.
 */
export async function openHalves(
  path: string,
  name: string,
  options: OpenComponentOptions = {},
): Promise<ComponentModel[]> {
  const identified = await identify(path, name, options)
  const { halves } = identified
  if (halves === undefined) return [await matchWeights(identified, name, undefined)]
  return Promise.all(halves.map((half) => matchWeights(identified, `${name}.${half}`, half)))
}

async function identify(
  path: string,
  name: string,
  { variant, prediction, signal }: OpenComponentOptions,
): Promise<Identified> {
  const readIndex = (file: string) => readSafetensorsIndex(file, { signal })
  const where = path.endsWith('.safetensors') ? path : resolveModel(path).folder
  const model = await openModel(where, { readIndex, ...(prediction ? { prediction } : {}) })
  const source = await openModelComponent(model, name, { readIndex, ...(variant === undefined ? {} : { variant }) })
  if (source.className !== undefined) {
    const { config } = source
    const definition = definitionOf(source.className, config, source.configFile)
    return { path, source, definition, config, halves: definition.parts }
  }
  const { tensors } = source.checkpoint
  const found = recogniseModel(new Map([...tensors].map(([tensor, { shape }]) => [tensor, shape])))
  if (found) return { path, source, ...found, halves: found.parts }
  const message = `${path}: expected a folder with config.json, or a file of a known network, got neither`
  throw new EngineError('unsupported-model', message, { file: path })
}

/** The class's network; for others the error names the file. */
function definitionOf(className: string, config: ModelComponent['config'], file: string): ModelDefinition {
  try {
    return modelDefinition(className, config)
  } catch (cause) {
    if (!(cause instanceof EngineError)) throw cause
    throw new EngineError(cause.code, `${file}: ${cause.message}`, { ...cause.context, file, cause })
  }
}

/** Opens the checkpoint under the network's names and checks that it has what the network reads. */
async function matchWeights(
  { source, definition, config }: Identified,
  name: string,
  part: 'encoder' | 'decoder' | undefined,
): Promise<ComponentModel> {
  const place: Place = { component: source.name, configFile: source.configFile, ...(part ? { part } : {}) }
  const ports = definition.ports(config, place)
  const table = definition.renames(config, place)
  const checkpoint = renamed(source.checkpoint, (tensor) => rename(tensor, table))
  const outputs = ports.outputs.map((port) => port.name)
  const { graph: smallest } = definition.build(config, place, ports.smallest, outputs)
  const found = report(checkpoint, neededTensors(smallest))
  assertComplete(found, source.path)
  return { name, definition, config, place, ports, checkpoint, report: found, smallest }
}
