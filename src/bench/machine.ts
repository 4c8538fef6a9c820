/** The machine that something was measured on, as far as it says so itself. */

import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import path from 'node:path'
import { packageVersion } from '../pipelines/provenance'

export interface Machine {
  readonly cpu: string
  /** Instruction sets that decide which kernels run, by the names of the Linux kernel. */
  readonly instructionSets: readonly string[]
  readonly threads: number
  /** `L2 1024K` of the first core. */
  readonly caches: readonly string[]
  readonly memoryBytes: number
  readonly platform: string
  /** EC2 instance type; left out elsewhere. */
  readonly instanceType?: string
  readonly versions: Readonly<Record<string, string>>
}

const INSTRUCTION_SETS =
  /^(avx2|fma|f16c|avx_vnni|avx512f|avx512_vnni|avx512_bf16|avx512_fp16|amx_tile|amx_bf16|amx_int8|asimd|asimddp|i8mm|bf16|sve)$/

export function describeMachine(): Machine {
  const [cpu] = cpus()
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readText('/proc/cpuinfo'))?.[1]?.split(' ') ?? []
  const instanceType = ec2InstanceType()
  return {
    cpu: cpu?.model.trim() || 'unknown',
    instructionSets: flags.filter((flag) => INSTRUCTION_SETS.test(flag)),
    threads: availableParallelism(),
    caches: cacheSizes(),
    memoryBytes: Math.min(process.constrainedMemory?.() || totalmem(), totalmem()),
    platform: `${process.platform}-${process.arch} ${release()}`,
    ...(instanceType === undefined ? {} : { instanceType }),
    versions: { irodori: packageVersion(), node: process.versions.node },
  }
}

/** Nitro machines say their type where others name a product; nothing is asked over the network. */
function ec2InstanceType(): string | undefined {
  const dmi = '/sys/devices/virtual/dmi/id'
  if (!readText(path.join(dmi, 'sys_vendor')).startsWith('Amazon EC2')) return undefined
  return readText(path.join(dmi, 'product_name')).trim() || undefined
}

function cacheSizes(): string[] {
  const folder = '/sys/devices/system/cpu/cpu0/cache'
  const entries = attempt(() => readdirSync(folder), [])
  return entries
    .filter((entry) => /^index\d+$/.test(entry))
    .sort()
    .flatMap((entry) => {
      const [level, type, size] = ['level', 'type', 'size'].map((file) =>
        readText(path.join(folder, entry, file)).trim(),
      )
      return type === 'Instruction' || !size ? [] : [`L${level} ${size}`]
    })
}

function readText(file: string): string {
  return attempt(() => readFileSync(file, 'utf8'), '')
}

/** Files of the system may be missing or closed to us: then there is nothing to say. */
function attempt<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch {
    return otherwise
  }
}

/** The most memory this process has had, mapped pages included. */
export function peakMemoryBytes(): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readText('/proc/self/status')) ?? []
  return kilobytes === undefined ? process.resourceUsage().maxRSS * 1024 : Number(kilobytes) * 1024
}
