/** Artifacts: what compiling one part of a graph yields. Whoever loads, links or weighs one reads its signature only. */

import { EngineError } from '../errors'
import type { Graph } from '../graph/graph'
import { type DType, isInt8, STORAGE_BYTES } from '../tensor/dtype'
import { elements, type Shape } from '../tensor/shape'
import type { CutSet } from './passes/cut'
import type { BufferSpec, ParamSpec, PortSpec, Program } from './program'

/** What a run is handed, or gives, for one row. */
export interface SignaturePort {
  readonly name: string
  readonly dtype: DType
  /** Of one row. */
  readonly shape: Shape
}

/** A parameter with its path. */
export interface SignatureParam extends ParamSpec {
  readonly name: string
}

/** What stands around an artifact, whatever its payload is. */
export interface Signature {
  readonly name: string
  /** Everything a run is handed, in the payload's order: inputs of the graph, and states. */
  readonly inputs: readonly SignaturePort[]
  /** In the payload's order: outputs of the graph, or the states this part leaves. */
  readonly outputs: readonly SignaturePort[]
  /** The inputs that earlier parts leave: `state.<path>`. */
  readonly states: readonly SignaturePort[]
  /** In the order packs are bound in. */
  readonly params: readonly SignatureParam[]
  /** Work space of one row; a run of B rows takes B times as much. */
  readonly arenaBytes: number
}

/** What a backend runs: one member per form that backends take. */
export type Payload = { readonly kind: 'program'; readonly program: Program }

/** What can be bound to weights and run. */
export interface Runnable {
  readonly signature: Signature
  readonly payload: Payload
}

/** One compiled part. */
export interface Artifact extends Runnable {
  readonly set: CutSet
  /** The part as a graph, before kernels were chosen: what backends that bring their own compiler start from. */
  readonly graph: Graph
}

/** A Program as a payload, with the signature that its ports and parameters spell. */
export function programRunnable(program: Program, states: ReadonlySet<string> = new Set()): Runnable {
  const port = ({ name, buffer }: PortSpec): SignaturePort => {
    const { dtype = 'f32', shape = [] }: Partial<BufferSpec> = program.buffers[buffer] ?? {}
    if (isInt8(dtype))
      throw new EngineError('internal', `${program.name}: expected numbers at port ${name}, got packed weights`)
    return { name, dtype, shape }
  }
  const paths = new Map<number, string>(
    program.buffers.flatMap(({ name, storage }) => (storage.kind === 'param' ? [[storage.index, name] as const] : [])),
  )
  const inputs = program.inputs.map(port)
  return {
    signature: {
      name: program.name,
      inputs,
      outputs: program.outputs.map(port),
      states: inputs.filter(({ name }) => states.has(name)),
      params: program.params.map((param, index) => ({ ...param, name: paths.get(index) ?? `param ${index}` })),
      arenaBytes: program.arenaBytes,
    },
    payload: { kind: 'program', program },
  }
}

/** Bytes of one row of a port, or of a parameter. */
export function portBytes({ dtype, shape }: Pick<BufferSpec, 'dtype' | 'shape'>): number {
  return elements(shape) * STORAGE_BYTES[dtype]
}
