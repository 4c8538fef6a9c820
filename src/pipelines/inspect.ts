/** What is in a model: components, parameters, arithmetic and memory, found without reading a weight. */

import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { type Device, readSafetensorsIndex } from '../bindings'
import { storedTypes } from '../bindings/storedType'
import { portBytes } from '../compile/artifact'
import type { Capabilities } from '../compile/capabilities'
import { type CompiledGraph, compile, type NetworkDType } from '../compile/compile'
import { type CutSet, cut } from '../compile/passes/cut'
import type { Quantization } from '../compile/passes/quantize'
import { programBytes, type StoredTypes } from '../compile/stepCost'
import { EngineError } from '../errors'
import { graphFlops } from '../graph/graph'
import { neededTensors, type Sizes } from '../models'
import { STORAGE_BYTES } from '../tensor/dtype'
import { elements } from '../tensor/shape'
import { type JsonObject, jsonFields, readJson } from '../weights/jsonFields'
import type { ModelFolder } from '../weights/modelFolder'
import { openModel } from '../weights/openModel'
import { type ComponentModel, openHalves } from './componentModel'
import { UPSCALER_CLASSES } from './extras'
import { measureQuantized, type QuantizedReport } from './measureQuantized'
import { type ModelProvenance, readModelProvenance } from './modelProvenance'

/** How often part of a network runs: once per prompt, per step of the schedule, or for every row of every step. */
export interface PartCost {
  readonly runs: CutSet
  readonly flops: number
  /** Left out without a device. */
  readonly traffic?: PartTraffic
}

/** Bytes that one run of a part reads and writes for one row: operands and results of all steps, weights included. */
export interface PartTraffic {
  readonly movedBytes: number
  /** Those of matrix products, convolutions and attention alone: what would be left if everything else were fused. */
  readonly fusedBytes: number
}

/** One component. */
export interface ComponentReport {
  readonly name: string
  readonly className: string
  /** Left out when the class is no network of this package. */
  readonly network?: NetworkReport
  /** Why there is no network report, for components that should have one. */
  readonly problem?: string
}

export interface NetworkReport {
  readonly parameters: number
  readonly fileBytes: number
  /** Type the weights are stored in; several joined by `+`. */
  readonly stored: string
  /** Sizes the figures below are for. */
  readonly sizes: Sizes
  /** Of one row, the whole network. */
  readonly flops: number
  /** The same, by how often it has to run; the last is what a step costs. */
  readonly parts: readonly PartCost[]
  /** Left out without a device. */
  readonly memory?: MemoryPlan
  /** What quantising it costs and gives, of each half; where that was asked for, and something would be quantised. */
  readonly quantized?: readonly QuantizedReport[]
  readonly unused: readonly string[]
}

/** Bytes on a device. */
export interface MemoryPlan {
  readonly dtype: NetworkDType
  readonly weightsBytes: number
  /** Work space of one row; a batch of B rows takes B times as much. */
  readonly arenaBytesPerRow: number
  /** What is kept per prompt or step. */
  readonly statesBytes: number
}

export interface ModelReport {
  readonly path: string
  /** Pipeline class by `model_index.json`. */
  readonly className?: string
  readonly components: readonly ComponentReport[]
  /** Where it comes from; left out where the folder does not say. */
  readonly provenance?: ModelProvenance
  /** Licence files of the folder, with their first line. */
  readonly licences: readonly { readonly file: string; readonly title: string }[]
}

export interface InspectOptions {
  /** Runs every network on the device as it is and quantised: reads and packs all weights, unlike the rest. */
  readonly quantize?: { readonly device: Device; readonly how: Quantization } | undefined
}

/**
 * Looks at a model.
 *
 * @param folder - a diffusers folder, a component's folder or a safetensors file.
 * @param capabilities - of the device to plan memory for; `undefined` leaves that out.
 * @throws {@link EngineError} `missing-file`, `unsupported-format` or `invalid-config` when there is no model
 * or its `irodori.json` has another form.
 */
export async function inspectModel(
  folder: string,
  capabilities: Capabilities | undefined,
  { quantize }: InspectOptions = {},
): Promise<ModelReport> {
  const model = await openModel(folder, { readIndex: (file) => readSafetensorsIndex(file) })
  const names = await componentNames(model)
  const usual = await pipelineSizes(
    folder,
    names.map(({ name }) => name),
  )
  const components: ComponentReport[] = []
  for (const { name, className } of names) {
    components.push(await inspectComponent(folder, name, className, { capabilities, usual, quantize }))
  }
  const [licences, provenance] = [await readLicences(folder), await provenanceOf(folder)]
  return {
    path: folder,
    ...(model.className ? { className: model.className } : {}),
    components,
    ...(provenance ? { provenance } : {}),
    licences,
  }
}

async function provenanceOf(folder: string): Promise<ModelProvenance | undefined> {
  const file = path.join(folder, 'irodori.json')
  const settings = await readJson(file).catch((error: unknown) => {
    if (error instanceof EngineError && error.code === 'missing-file') return {}
    throw error
  })
  const fields = jsonFields(settings, file)
  return fields.has('provenance') ? readModelProvenance(fields.object('provenance'), folder) : undefined
}

/** Names to look at: autoencoders by halves, and folders beside those of the index. */
async function componentNames(model: ModelFolder): Promise<{ name: string; className: string | undefined }[]> {
  if (model.kind !== 'pipeline' && model.components.size === 0) {
    const { name } = path.parse(model.path)
    return [{ name: name.replace(/[^A-Za-z0-9_-]/g, '-'), className: undefined }]
  }
  const found = new Map([...model.components.values()].map(({ name, className }) => [name, className]))
  if (model.kind !== 'pipeline') return [...found].map(([name, className]) => ({ name, className }))
  for (const entry of await readdir(model.path, { withFileTypes: true })) {
    if (!entry.isDirectory() || found.has(entry.name)) continue
    const files = await readdir(path.join(model.path, entry.name))
    if (files.includes('config.json')) found.set(entry.name, undefined)
  }
  return [...found].map(([name, className]) => ({ name, className }))
}

/** What is known besides the component itself. */
interface Surroundings extends InspectOptions {
  readonly capabilities: Capabilities | undefined
  readonly usual: PipelineSizes
}

/** Sizes the pipeline uses its networks at; `undefined` where its folder does not say. */
interface PipelineSizes {
  /** Side of its latents: the `sample_size` of the denoiser. */
  readonly cells: number | undefined
  /** Tokens of a prompt: `maxSequenceLength` of `irodori.json`, else the positions of the text encoder. */
  readonly textLength: number | undefined
}

async function pipelineSizes(folder: string, names: readonly string[]): Promise<PipelineSizes> {
  const read = async (file: string, field: string): Promise<number | undefined> => {
    const config = await readJson(path.join(folder, file)).catch(() => undefined)
    const value = ((config ?? {}) as JsonObject)[field]
    return typeof value === 'number' ? value : undefined
  }
  const denoiser = names.find((name) => name === 'transformer' || name === 'unet')
  const positions = read(path.join('text_encoder', 'config.json'), 'max_position_embeddings')
  return {
    cells: denoiser === undefined ? undefined : await read(path.join(denoiser, 'config.json'), 'sample_size'),
    textLength: (await read('irodori.json', 'maxSequenceLength')) ?? (await positions),
  }
}

async function inspectComponent(
  folder: string,
  name: string,
  indexed: string | undefined,
  surroundings: Surroundings,
): Promise<ComponentReport> {
  if (indexed !== undefined && /(Scheduler|Tokenizer(Fast)?|Processor|FeatureExtractor)$/.test(indexed)) {
    return { name, className: indexed }
  }
  try {
    const models = await openHalves(folder, name)
    const [first] = models
    if (first === undefined) throw new EngineError('internal', `${name}: expected a network, got none`)
    const reports: NetworkReport[] = []
    for (const model of models) reports.push(await inspectNetwork(model, surroundings))
    return { name, className: first.definition.className, network: joinHalves(reports, models) }
  } catch (error) {
    if (!(error instanceof EngineError) || error.code === 'unavailable-binding') throw error
    return { name, className: indexed ?? 'unknown', problem: `${error.code}: ${error.message.split('\n')[0]}` }
  }
}

async function inspectNetwork(
  model: ComponentModel,
  { capabilities, usual, quantize }: Surroundings,
): Promise<NetworkReport> {
  const sizes = usualSizes(model, usual)
  const { graph } = model.definition.build(model.config, model.place, sizes)
  const needed = neededTensors(graph)
  const files = fileTypes(model, new Set(needed.map(({ name }) => name)))
  const planned = capabilities && {
    compiled: await compile(graph, capabilities),
    stored: storedTypes(capabilities, model.checkpoint),
  }
  const traffic = planned && trafficOf(planned)
  // Pipelines leave upscalers as they are.
  const quantized =
    quantize &&
    !UPSCALER_CLASSES.includes(model.definition.className) &&
    (await measureQuantized(quantize.device, graph, model.checkpoint, { quantize: quantize.how }))
  return {
    parameters: needed.reduce((sum, { shape }) => sum + elements(shape), 0),
    ...files,
    sizes,
    flops: graphFlops(graph),
    parts: cut(graph).map(({ set, graph }) => {
      const bytes = traffic?.get(set)
      return { runs: set, flops: graphFlops(graph), ...(bytes ? { traffic: bytes } : {}) }
    }),
    ...(planned ? { memory: memoryPlan(planned) } : {}),
    ...(quantized ? { quantized: [{ ...(model.place.part ? { part: model.place.part } : {}), ...quantized }] } : {}),
    unused: model.report.unused,
  }
}

/** Tokens of a prompt where nothing says how many. */
const CLIP_LENGTH = 77

/** Cells of a latent become pixels by this factor in every autoencoder here. */
const PIXELS_PER_CELL = 8

/** Sizes the pipeline uses the network at, else those its config speaks of, where a call could choose. */
function usualSizes({ config, ports, place }: ComponentModel, { cells, textLength }: PipelineSizes): Sizes {
  const { sample_size: own, max_position_embeddings: positions } = (config ?? {}) as JsonObject
  const isHalf = place.part !== undefined
  // Of an autoencoder it is the side of the picture, of all others that of the latent.
  const latent = cells ?? (isHalf && typeof own === 'number' ? own / PIXELS_PER_CELL : 64)
  const outside = place.part === 'decoder' ? latent : latent * PIXELS_PER_CELL
  const side = !isHalf && typeof own === 'number' ? own : outside
  const length = textLength ?? (typeof positions === 'number' ? positions : CLIP_LENGTH)
  const usual = { height: side, width: side, textLength: length }
  const axes = new Set(ports.inputs.flatMap((port) => port.axes))
  return Object.fromEntries(Object.entries(usual).filter(([axis]) => axes.has(axis as keyof typeof usual)))
}

function fileTypes(model: ComponentModel, needed: ReadonlySet<string>): { stored: string; fileBytes: number } {
  const used = [...model.checkpoint.tensors.values()].filter(({ name }) => needed.has(name))
  return {
    stored: [...new Set(used.map(({ dtype }) => dtype))].sort().join('+'),
    fileBytes: used.reduce((sum, { begin, end }) => sum + end - begin, 0),
  }
}

/** A network as a device would run it and keep it. */
interface Planned {
  readonly compiled: CompiledGraph
  readonly stored: StoredTypes
}

function trafficOf({ compiled: { parts }, stored }: Planned): ReadonlyMap<CutSet, PartTraffic> {
  return new Map(
    parts.map(({ set, payload: { program } }) => {
      const { moved, products } = programBytes(program, 1, stored)
      return [set, { movedBytes: moved, fusedBytes: products }]
    }),
  )
}

function memoryPlan({ compiled: { parts, dtype }, stored }: Planned): MemoryPlan {
  const signatures = parts.map(({ signature }) => signature)
  const bytes = (ports: readonly Parameters<typeof portBytes>[0][]) =>
    ports.reduce((sum, port) => sum + portBytes(port), 0)
  return {
    dtype,
    weightsBytes: signatures
      .flatMap(({ params }) => params)
      .reduce((sum, param) => sum + elements(param.shape) * STORAGE_BYTES[stored(param)], 0),
    arenaBytesPerRow: signatures.at(-1)?.arenaBytes ?? 0,
    statesBytes: signatures.slice(0, -1).reduce((sum, { outputs }) => sum + bytes(outputs), 0),
  }
}

/** An autoencoder's halves as one component: sums, with a part for each half. */
function joinHalves(reports: readonly NetworkReport[], models: readonly ComponentModel[]): NetworkReport {
  const [first] = reports
  if (first === undefined) throw new EngineError('internal', 'inspect: expected a network, got none')
  if (reports.length === 1) return first
  const sum = (of: (report: NetworkReport) => number) => reports.reduce((total, report) => total + of(report), 0)
  const unused = [...new Set(reports.flatMap((report) => report.unused))]
  const used = new Set(
    models.flatMap(({ checkpoint, report }) =>
      [...checkpoint.tensors.keys()].filter((name) => !report.unused.includes(name)),
    ),
  )
  return {
    ...first,
    parameters: sum(({ parameters }) => parameters),
    fileBytes: sum(({ fileBytes }) => fileBytes),
    stored: [...new Set(reports.map(({ stored }) => stored))].join('+'),
    flops: sum(({ flops }) => flops),
    parts: reports.flatMap(({ parts }) => parts),
    ...(reports.some(({ quantized }) => quantized)
      ? { quantized: reports.flatMap(({ quantized }) => quantized ?? []) }
      : {}),
    ...(first.memory
      ? {
          memory: {
            dtype: first.memory.dtype,
            weightsBytes: sum(({ memory }) => memory?.weightsBytes ?? 0),
            arenaBytesPerRow: Math.max(...reports.map(({ memory }) => memory?.arenaBytesPerRow ?? 0)),
            statesBytes: sum(({ memory }) => memory?.statesBytes ?? 0),
          },
        }
      : {}),
    unused: unused.filter((name) => !used.has(name)),
  }
}

/** Files named like licences, in the folder and in its `LICENSES`. */
async function readLicences(folder: string): Promise<{ file: string; title: string }[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter(
      (file) =>
        /^(licen[cs]e|notice|copying)/i.test(path.basename(file)) || path.basename(path.dirname(file)) === 'LICENSES',
    )
  return Promise.all(
    files.sort().map(async (file) => {
      const lines = (await readFile(file, 'utf8')).split('\n')
      return { file: path.relative(folder, file), title: lines.find((line) => line.trim() !== '')?.trim() ?? '' }
    }),
  )
}
