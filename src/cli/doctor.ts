/** `irodori doctor`: what this machine offers and why not more. Never fails. */

import { availableParallelism, cpus, totalmem } from 'node:os'
import { Command } from 'commander'
import { type DeviceOptions, openDevice } from '../bindings/device'
import { addon, addonPath } from '../bindings/load'
import { bundledModels } from '../pipelines/bundled'
import { packageVersion } from '../pipelines/provenance'
import { formatBytes, formatTable, printJson } from './output'
import { pictureProtocol } from './terminal'

interface DeviceCheck {
  readonly device: string
  readonly instructions: string
  readonly works: boolean
  /** Arithmetic and preferred type, or why not. */
  readonly detail: string
}

interface Diagnosis {
  readonly versions: Readonly<Record<string, string>>
  readonly machine: Readonly<Record<string, string>>
  readonly addon: string
  readonly devices: readonly DeviceCheck[]
  readonly models: readonly string[]
  readonly terminal: string
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('devices, instruction sets, versions, and why something is off; never fails')
    .option('--json', 'print one JSON document and nothing else')
    .action(async (flags: { json?: boolean }) => {
      const diagnosis = await diagnose()
      if (flags.json) printJson(diagnosis)
      else process.stdout.write(`${describe(diagnosis)}\n`)
    })
}

const CHECKS: readonly DeviceOptions[] = [
  {},
  { instructions: 'amx' },
  { instructions: 'avx512_bf16' },
  { instructions: 'avx512' },
  { instructions: 'avx2' },
  { instructions: 'portable' },
  { device: 'reference' },
]

async function diagnose(): Promise<Diagnosis> {
  const [cpu] = cpus()
  return {
    versions: {
      irodori: attempt(packageVersion),
      node: process.versions.node,
      'node-api': process.versions.napi ?? 'none',
      ...(await pictureLibraries()),
    },
    machine: {
      platform: `${process.platform}-${process.arch}`,
      cpu: cpu?.model.trim() ?? 'unknown',
      threads: String(availableParallelism()),
      memory: formatBytes(Math.min(process.constrainedMemory?.() || totalmem(), totalmem())),
    },
    addon: attempt(() => {
      addon()
      return addonPath()
    }),
    devices: CHECKS.map(check),
    models: bundledModels(),
    terminal: pictureProtocol(process.env, process.stdout.isTTY === true) ?? 'no pictures',
  }
}

function check(options: DeviceOptions): DeviceCheck {
  const name = { device: options.device ?? 'cpu', instructions: options.instructions ?? 'auto' }
  try {
    using device = openDevice(options)
    const { arithmetic, reason, threads } = device.info
    const wider = reason === '' ? '' : `; ${reason}`
    const { preferredDtype } = device.capabilities
    return { ...name, works: true, detail: `${arithmetic}, ${preferredDtype}, ${threads} threads${wider}` }
  } catch (error) {
    return { ...name, works: false, detail: firstLine(error) }
  }
}

async function pictureLibraries(): Promise<Record<string, string>> {
  try {
    const { default: sharp } = await import('sharp')
    return { sharp: sharp.versions.sharp ?? 'unknown', libvips: sharp.versions.vips }
  } catch (error) {
    return { sharp: `unavailable: ${firstLine(error)}` }
  }
}

function attempt(find: () => string): string {
  try {
    return find()
  } catch (error) {
    return `unavailable: ${error instanceof Error ? error.message : String(error)}`
  }
}

function firstLine(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  return line.replace(/^irodori: /, '')
}

function describe({ versions, machine, addon, devices, models, terminal }: Diagnosis): string {
  return [
    formatTable([...Object.entries(versions), ...Object.entries(machine), ['addon', addon]]),
    '',
    formatTable(devices.map((one) => [one.works ? 'ok ' : 'off', one.device, one.instructions, one.detail])),
    '',
    `bundled models: ${models.join(', ') || 'none'}`,
    `pictures in this terminal: ${terminal}`,
  ].join('\n')
}
