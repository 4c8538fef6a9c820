/** Peers: which of them this machine can run, and why not the others. */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { NetworkDType } from '../compile/compile'
import { resolveModel } from '../pipelines/bundled'
import type { ContenderCommand } from './contender'
import type { Workload } from './workloads'

export interface PeerOptions {
  /** What bench/peers/export.py wrote. */
  readonly exported?: string | undefined
  /** The folder of the peers' scripts. @defaultValue bench/peers of a checkout */
  readonly peers?: string | undefined
  /** A Python with PyTorch and diffusers. */
  readonly python?: string | undefined
  /** Also PyTorch's compiled form; takes minutes before its first run. */
  readonly compiled?: boolean | undefined
  readonly threads: number
  /** Of our side: PyTorch also runs in it, where it is no float32. */
  readonly dtype: NetworkDType
}

export interface FoundPeers {
  readonly found: readonly ContenderCommand[]
  /** One sentence for each that is missing. */
  readonly missing: readonly string[]
}

const OWN_PEERS = path.resolve(__dirname, '..', '..', 'bench', 'peers')

/** The peers of one workload. */
export function findPeers(workload: Workload, options: PeerOptions): FoundPeers {
  const { exported } = options
  const peers = path.resolve(options.peers ?? OWN_PEERS)
  if (exported === undefined) {
    return {
      found: [],
      missing: ['peers: they need the weights that bench/peers/export.py writes (--exported FOLDER)'],
    }
  }
  const missing: string[] = []
  const found = [
    ...onnxruntime(workload, exported, peers, options, missing),
    ...pytorch(workload, exported, peers, options, missing),
  ]
  return { found, missing }
}

function onnxruntime(
  { name }: Workload,
  exported: string,
  peers: string,
  { threads }: PeerOptions,
  missing: string[],
): ContenderCommand[] {
  const script = path.join(peers, 'onnxruntime.mjs')
  if (!existsSync(script)) {
    missing.push(`onnxruntime-node: expected ${script}, found none (--peers FOLDER)`)
    return []
  }
  if (!resolves(script, 'onnxruntime-node')) {
    missing.push(`onnxruntime-node: not installed; npm install --ignore-scripts --prefix ${peers}`)
    return []
  }
  const commands: ContenderCommand[] = []
  for (const [type, file] of [
    ['fp32', 'model.onnx'],
    ['int8', 'model.int8.onnx'],
  ] as const) {
    const model = path.join(exported, name, file)
    if (existsSync(model)) {
      const load = { model, threads }
      commands.push({ name: `onnxruntime-node ${type}`, command: process.execPath, args: [script], load })
    } else if (type === 'fp32') missing.push(`onnxruntime-node: expected ${model}, found none`)
  }
  return commands
}

function pytorch(
  { name, component, source }: Workload,
  exported: string,
  peers: string,
  { python, threads, dtype, compiled }: PeerOptions,
  missing: string[],
): ContenderCommand[] {
  if (python === undefined) {
    missing.push('pytorch: expected a Python that has it and diffusers (--python FILE)')
    return []
  }
  const script = path.join(peers, 'pytorch.py')
  const folder = 'bundled' in source ? resolveModel(source.bundled).folder : path.join(exported, name)
  if (!existsSync(script) || !existsSync(folder)) {
    missing.push(`pytorch: expected ${existsSync(script) ? folder : script}, found none`)
    return []
  }
  const types = dtype === 'f32' ? ['f32'] : ['f32', dtype]
  const forms = compiled ? ['eager', 'compiled'] : ['eager']
  return types.flatMap((type) =>
    forms.map((form) => ({
      name: `pytorch ${type} ${form}`,
      command: python,
      args: [script],
      load: { folder, component, className: classOf(source), threads, dtype: type, compiled: form === 'compiled' },
    })),
  )
}

function classOf(source: Workload['source']): string {
  return 'config' in source ? String(source.config._class_name) : 'PixArtTransformer2DModel'
}

function resolves(from: string, name: string): boolean {
  try {
    createRequire(from).resolve(name)
    return true
  } catch {
    return false
  }
}
