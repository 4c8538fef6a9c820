/** How the parts of a cut graph hang together: which inputs and states each reads, which states each leaves. */

import type { Part } from '../compile/compile'
import type { BufferSpec, Program } from '../compile/program'
import { EngineError } from '../errors'
import { DTYPE_BYTES } from '../tensor/dtype'
import { elements } from '../tensor/shape'
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

/** Resolves the parts' ports. Throws `invalid-program` when a part reads a state that no earlier one leaves. */
export function linkParts(
  parts: readonly Part[],
  executables: readonly Executable[],
  graphInputs: ReadonlySet<string>,
): NetworkPart[] {
  const linked: NetworkPart[] = []
  const madeBy = new Map<string, number>()
  for (const [index, { program }] of parts.entries()) {
    const executable = executables[index]
    if (!executable) throw new EngineError('internal', `${program.name}: expected an executable, got none`)
    const inputs: string[] = []
    const states = new Map<string, number>()
    const dependsOn = new Set<string>()
    for (const { name } of program.inputs) {
      const maker = madeBy.get(name)
      if (maker !== undefined) {
        states.set(name, maker)
        for (const input of linked[maker]?.dependsOn ?? []) dependsOn.add(input)
      } else if (graphInputs.has(name)) {
        inputs.push(name)
        dependsOn.add(name)
      } else {
        throw new EngineError(
          'invalid-program',
          `${program.name}: expected a graph input or a state of an earlier part, got "${name}"`,
        )
      }
    }
    const outputBytes = new Map(program.outputs.map(({ name, buffer }) => [name, rowBytes(bufferOf(program, buffer))]))
    for (const name of outputBytes.keys()) madeBy.set(name, index)
    linked.push({ executable, index, inputs, states, dependsOn: [...dependsOn].sort(), outputBytes })
  }
  return linked
}

function bufferOf(program: Program, index: number): BufferSpec {
  const buffer = program.buffers[index]
  if (!buffer) throw new EngineError('invalid-program', `${program.name}: expected buffer ${index}, found none`)
  return buffer
}

function rowBytes(buffer: BufferSpec): number {
  return elements(buffer.shape) * DTYPE_BYTES[buffer.dtype]
}
