/** A component on disk as a network that can be built: its class, its config, its tensors under the network's names. */

import { readSafetensorsIndex } from '../bindings'
import { EngineError } from '../errors'
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
  options: { readonly variant?: string; readonly signal?: AbortSignal } = {},
): Promise<ComponentModel> {
  const folder = await openModelFolder(path.endsWith('.safetensors') ? path : resolveModel(path).folder)
  if (folder.kind === 'file' && options.variant !== undefined) {
    throw new EngineError(
      'invalid-option',
      `${path}: expected no variant for a single file, got "${options.variant}"`,
      { option: 'variant' },
    )
  }
  const source = await findComponent(folder, name, options)
  const { files, weightMap } = source.weights
  // Headers are read once: a file without a config is recognised by them.
  const indexes = new Map<string, readonly TensorEntry[]>()
  for (const file of files) indexes.set(file, await readSafetensorsIndex(file, { signal: options.signal }))

  const { definition, config } =
    source.className === undefined
      ? recognised(path, name, source.part, indexes)
      : known(source.className, source.config)
  const place: Place = {
    component: source.name,
    configFile: source.configFile,
    ...(source.part ? { part: source.part } : {}),
  }
  if (source.part && !definition.parts) {
    throw new EngineError(
      'unknown-component',
      `${path}: expected "${source.name}" (${definition.className} is one network), got "${name}"`,
      { name },
    )
  }
  const ports = definition.ports(config, place)
  const table = definition.renames(config, place)
  const checkpoint = await openCheckpoint(files, {
    readIndex: async (file) => indexes.get(file) ?? [],
    rename: (tensor) => rename(tensor, table),
    ...(weightMap ? { weightMap } : {}),
  })
  const found = report(
    checkpoint,
    neededTensors(
      definition.build(
        config,
        place,
        ports.smallest,
        ports.outputs.map((port) => port.name),
      ).graph,
    ),
  )
  assertComplete(found, source.path)
  return { name, definition, config, place, ports, checkpoint, report: found }
}

function known(
  className: string,
  config: Readonly<Record<string, unknown>> | undefined,
): { definition: ModelDefinition; config: unknown } {
  return { definition: modelDefinition(className, config), config }
}

function recognised(
  path: string,
  name: string,
  part: 'encoder' | 'decoder' | undefined,
  indexes: ReadonlyMap<string, readonly TensorEntry[]>,
): { definition: ModelDefinition; config: unknown } {
  const found = recogniseModel(new Map([...indexes.values()].flat().map((entry) => [entry.name, entry.shape])))
  if (!found) {
    throw new EngineError(
      'unsupported-model',
      `${path}: expected a folder with config.json, or a file of a known network, got neither`,
      { file: path },
    )
  }
  if (found.parts && (!part || !found.parts.includes(part))) {
    const halves = found.parts.map((half) => `${name.split('.')[0]}.${half}`)
    throw new EngineError('unknown-component', `${path}: expected ${halves.join(' or ')}, got "${name}"`, {
      name,
      known: halves,
    })
  }
  return found
}
