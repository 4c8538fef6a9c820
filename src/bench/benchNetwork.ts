/** A workload's network on a device, with weights that were exported, that came with the package, or that nobody trained. */

import path from 'node:path'
import type { Device, PartTimes } from '../bindings'
import { storedTypes } from '../bindings/storedType'
import { type CompiledGraph, compile, type NetworkDType } from '../compile/compile'
import type { Quantization } from '../compile/passes/quantize'
import type { StoredTypes } from '../compile/stepCost'
import { EngineError } from '../errors'
import { modelDefinition, neededTensors, type Place } from '../models'
import { resolveModel } from '../pipelines/bundled'
import { type ComponentModel, openComponent } from '../pipelines/componentModel'
import { ComponentNetworks } from '../pipelines/componentNetworks'
import { bindInputs, gatherOutputs } from '../pipelines/ports'
import type { Tensor } from '../tensor/tensor'
import type { NeededTensor } from '../weights'
import type { Checkpoint } from '../weights/checkpoint'
import { report } from '../weights/checkpoint'
import { writeSyntheticWeights } from './syntheticWeights'
import type { Workload } from './workloads'

/** Where weights come from. */
export interface WeightsPlace {
  /** What bench/peers/export.py wrote: a folder per workload, so that all sides have the same weights. */
  readonly exported?: string | undefined
  /** A folder for files that are made here. */
  readonly scratch: string
}

/** Finds or makes the weights of a workload. */
export async function openWorkload(workload: Workload, { exported, scratch }: WeightsPlace): Promise<ComponentModel> {
  if ('bundled' in workload.source)
    return openComponent(resolveModel(workload.source.bundled).folder, workload.component)
  if (exported !== undefined) return openComponent(path.join(exported, workload.name), workload.component)
  const { config } = workload.source
  const [component = '', part] = workload.component.split('.')
  const place: Place = { component, ...(part === 'decoder' || part === 'encoder' ? { part } : {}) }
  const definition = modelDefinition(String(config._class_name), config)
  const ports = definition.ports(config, place)
  const { graph: smallest } = definition.build(config, place, ports.smallest)
  const needed = neededTensors(smallest)
  const checkpoint = await syntheticCheckpoint(path.join(scratch, `${workload.name}.bin`), needed)
  return {
    name: workload.component,
    definition,
    config,
    place,
    ports,
    checkpoint,
    report: report(checkpoint, needed),
    smallest,
  }
}

async function syntheticCheckpoint(file: string, needed: readonly NeededTensor[]): Promise<Checkpoint> {
  try {
    return await writeSyntheticWeights(file, needed)
  } catch (cause) {
    const message = `${file}: cannot be written (${cause instanceof Error ? cause.message : cause})`
    throw new EngineError('io', message, { file, cause })
  }
}

/** The files that the weights are in and their size, for people. */
export function weightFiles({ checkpoint }: ComponentModel): string {
  const ends = new Map<string, number>()
  for (const { file, end } of checkpoint.tensors.values()) ends.set(file, Math.max(ends.get(file) ?? 0, end))
  const bytes = [...ends.values()].reduce((sum, end) => sum + end, 0)
  return `${(bytes / 1e6).toFixed(0)} MB of weights in ${[...ends.keys()].join(', ')}`
}

/** What one call took. */
export interface TimedCall {
  readonly ms: number
  /** Its share of what was made for all calls of its run. */
  readonly preparedMs: number
  readonly outputs: Record<string, Tensor>
  /** Of parts that ran for this call, and of those that ran for all calls of its run together; where `timed`. */
  readonly parts: readonly PartTimes[]
  readonly prepared: readonly PartTimes[]
}

export class BenchNetwork {
  readonly device: Device
  readonly model: ComponentModel
  readonly dtype: NetworkDType
  readonly quantize: Quantization
  readonly #networks: ComponentNetworks

  constructor(device: Device, model: ComponentModel, dtype: NetworkDType, quantize: Quantization = 'none') {
    this.device = device
    this.model = model
    this.dtype = dtype
    this.quantize = quantize
    this.#networks = new ComponentNetworks(device, model, { dtype, quantize })
  }

  /** The types its parameters are kept in. */
  storedTypes(): StoredTypes {
    return storedTypes(this.device.capabilities, this.model.checkpoint)
  }

  /**
   * Calls as the steps of one run: as in a pipeline, what depends on timesteps alone is made for all of them first. Of one
   * call nothing is made first.
   *
   * Times are without what stands before and after the network: reading the inputs, gathering the outputs.
   */
  async run(
    calls: readonly Readonly<Record<string, Tensor>>[],
    { signal, timed = false }: { readonly signal?: AbortSignal | undefined; readonly timed?: boolean } = {},
  ): Promise<TimedCall[]> {
    const bound = calls.map((inputs) => bindInputs(this.model.name, this.model.ports, inputs))
    const [first] = bound
    if (!first) return []
    using lease = await this.#networks.lease({ sizes: first.sizes, form: first.form }, signal ? { signal } : {})
    const prepared: PartTimes[] = []
    const listening = (into: PartTimes[]) => ({
      ...(signal ? { signal } : {}),
      ...(timed ? { onStepTimes: (times: PartTimes) => into.push(times) } : {}),
    })
    let started = performance.now()
    if (calls.length > 1) {
      await lease.network.prepare(
        bound.flatMap(({ rows }) => rows),
        listening(prepared),
      )
    }
    const preparedMs = (performance.now() - started) / calls.length
    const done: TimedCall[] = []
    for (const { rows } of bound) {
      const parts: PartTimes[] = []
      started = performance.now()
      const results = await lease.network.run(rows, { arrays: 'given', ...listening(parts) })
      const ms = performance.now() - started
      done.push({
        ms,
        preparedMs,
        outputs: gatherOutputs(lease.model.outputs, lease.model.graph, results),
        parts,
        prepared,
      })
    }
    return done
  }

  /** Makes the packs, and the Programs for those inputs; what a first run does is left to it. */
  async load(inputs: Readonly<Record<string, Tensor>>): Promise<void> {
    const { sizes, form } = bindInputs(this.model.name, this.model.ports, inputs)
    using _lease = await this.#networks.lease({ sizes, form })
  }

  /** The Programs that those inputs run through; the compiler has kept them. */
  async compiled(inputs: Readonly<Record<string, Tensor>>): Promise<CompiledGraph> {
    const { sizes, form } = bindInputs(this.model.name, this.model.ports, inputs)
    const { definition, config, place } = this.model
    const { graph } = definition.build(config, place, sizes, undefined, form)
    return compile(graph, this.device.capabilities, { dtype: this.dtype, quantize: this.quantize })
  }

  dispose(): void {
    this.#networks.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
