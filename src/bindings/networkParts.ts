/** How the parts of a cut graph hang together: which inputs and states each reads, which states each leaves. */

import { portBytes } from '../compile/artifact'
import { EngineError } from '../errors'
import type { Executable } from './executable'

/** A part with its place in the network. */
export interface NetworkPart {
  readonly executable: Executable
  /** Index in running order. */
  readonly index: number
  /** Graph inputs it is handed itself. */
  readonly inputs: readonly string[]
  /** States it reads, with the index of the part that leaves each. */
  readonly states: ReadonlyMap<string, number>
  /** Graph inputs its results depend on, those of earlier parts included; sorted. */
  readonly dependsOn: readonly string[]
  /** Bytes of one row of every output. */
  readonly outputBytes: ReadonlyMap<string, number>
}

/**
 * Resolves the ports of parts, given in running order. Throws `invalid-program` when one reads a state that no earlier
 * one leaves.
 */
export function linkParts(executables: readonly Executable[]): NetworkPart[] {
  const linked: NetworkPart[] = []
  const madeBy = new Map<string, number>()
  for (const [index, executable] of executables.entries()) {
    const { name: part, inputs: read, outputs, states: fromEarlier } = executable.signature
    const inputs: string[] = []
    const states = new Map<string, number>()
    const dependsOn = new Set<string>()
    for (const port of read) {
      if (!fromEarlier.includes(port)) {
        inputs.push(port.name)
        dependsOn.add(port.name)
        continue
      }
      const maker = madeBy.get(port.name)
      if (maker === undefined)
        throw new EngineError('invalid-program', `${part}: expected a state of an earlier part, got "${port.name}"`)
      states.set(port.name, maker)
      for (const input of linked[maker]?.dependsOn ?? []) dependsOn.add(input)
    }
    const outputBytes = new Map(outputs.map((port) => [port.name, portBytes(port)]))
    for (const name of outputBytes.keys()) madeBy.set(name, index)
    linked.push({ executable, index, inputs, states, dependsOn: [...dependsOn].sort(), outputBytes })
  }
  return linked
}
