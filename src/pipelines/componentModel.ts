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
  type ComponentSource,
  findComponent,
  type NameReport,
  openCheckpoint,
  openModelFolder,
  rename,
  report,
  type TensorEntry,
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
  readonly source: ComponentSource
  readonly indexes: ReadonlyMap<string, readonly TensorEntry[]>
  readonly definition: ModelDefinition
  readonly config: unknown
  /** The halves its files hold, `vae.decoder`; `undefined` where it is one network. */
  readonly halves: readonly ('encoder' | 'decoder')[] | undefined
}

export interface OpenComponentOptions {
  readonly variant?: string
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

async function identify(path: string, name: string, options: OpenComponentOptions): Promise<Identified> {
  const folder = await openModelFolder(path.endsWith('.safetensors') ? path : resolveModel(path).folder)
  if (folder.kind === 'file' && options.variant !== undefined) {
    const message = `${path}: expected no variant for a single file, got "${options.variant}"`
    throw new EngineError('invalid-option', message, { option: 'variant' })
  }
  const source = await findComponent(folder, name, options)
  // Headers are read once: a file without a config is recognised by them.
  const indexes = new Map<string, readonly TensorEntry[]>()
  for (const file of source.weights.files) {
    indexes.set(file, await readSafetensorsIndex(file, { signal: options.signal }))
  }
  if (source.className !== undefined) {
    const { config } = source
    const definition = modelDefinition(source.className, config)
    return { path, source, indexes, definition, config, halves: definition.parts }
  }
  const found = recogniseModel(new Map([...indexes.values()].flat().map((entry) => [entry.name, entry.shape])))
  if (found) return { path, source, indexes, ...found, halves: found.parts }
  const message = `${path}: expected a folder with config.json, or a file of a known network, got neither`
  throw new EngineError('unsupported-model', message, { file: path })
}

/** Opens the checkpoint under the network's names and checks that it has what the network reads. */
async function matchWeights(
  { source, indexes, definition, config }: Identified,
  name: string,
  part: 'encoder' | 'decoder' | undefined,
): Promise<ComponentModel> {
  const { files, weightMap } = source.weights
  const place: Place = { component: source.name, configFile: source.configFile, ...(part ? { part } : {}) }
  const ports = definition.ports(config, place)
  const table = definition.renames(config, place)
  const checkpoint = await openCheckpoint(files, {
    readIndex: async (file) => indexes.get(file) ?? [],
    rename: (tensor) => rename(tensor, table),
    ...(weightMap ? { weightMap } : {}),
  })
  const outputs = ports.outputs.map((port) => port.name)
  const { graph: smallest } = definition.build(config, place, ports.smallest, outputs)
  const found = report(checkpoint, neededTensors(smallest))
  assertComplete(found, source.path)
  return { name, definition, config, place, ports, checkpoint, report: found, smallest }
}
