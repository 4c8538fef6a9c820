/** What a network file exports: how a parsed config becomes ports and, for given sizes, a graph. */

import { EngineError } from '../errors'
import { type Graph, graph } from '../graph/graph'
import type { Value } from '../graph/value'
import type { Shape } from '../tensor/shape'
import type { RenameTable } from '../weights/renames'

/** A size of one axis: a number fixed by the config, an axis whose size each call decides, or one that follows from it. */
export type Axis = number | AxisName | ScaledAxis

/** `ceil(size of · times)`: the pixels of a hint (8), a level of a UNet (1/4). */
export interface ScaledAxis {
  readonly of: AxisName
  readonly times: number
}

/** Axes whose sizes a call decides: cells of the picture or latent that goes in, tokens of text. */
export type AxisName = 'height' | 'width' | 'textLength'

/**
 * Sizes of the free axes; a graph is built for them. `extraTokens`, of text encoders alone: vectors that may stand in for
 * rows of the token table; left out or 0, the graph has no inputs for them.
 */
export type Sizes = Readonly<Partial<Record<AxisName | 'extraTokens', number>>>

/**
 * Which inputs a network is built with: `plain`, or `controlled`, where residuals of a ControlNet are added to a UNet's,
 * or to another ControlNet's. Both read the same tensors.
 */
export type Form = 'plain' | 'controlled'

/** What all input ports have. */
interface Port {
  /** The framework's `forward` argument; nested ones joined by dots. */
  readonly name: string
  /** Other names it may be given by. */
  readonly aliases?: readonly string[]
  /** Name of the graph's input. */
  readonly input: string
  /** Axes of one row, in the framework's order. */
  readonly axes: readonly Axis[]
  /** The only form that has the input; inputs of a form are given all or none. @defaultValue every form */
  readonly form?: 'controlled'
}

/**
 * How a framework's tensor becomes a graph input.
 *
 * `picture`: [C, H, W] outside, [H, W, C] inside. `numbers`: as they are. `timestep`: one number, given per row or once
 * for all rows. `ids`: integers from 0 to `below` - 1; `derive` makes a further graph input from them.
 * `prefixMask`: ones and then zeros outside, their count inside; all ones when left out. `factors`: one number for all
 * rows, one per row, or one per row and place; ones when left out.
 */
export type InputPort =
  | (Port & { readonly kind: 'picture' | 'numbers' | 'timestep' | 'prefixMask' | 'factors' })
  | (Port & { readonly kind: 'ids'; readonly below: number; readonly derive?: DerivedInput })

/** A graph input, shape [1] i32, that follows from the ids of a port. */
export interface DerivedInput {
  readonly input: string
  readonly from: (ids: Int32Array) => number
}

/** How a graph output becomes a framework's tensor: `picture` [H, W, C] inside and [C, H, W] outside, `numbers` as they are. */
export interface OutputPort {
  readonly kind: 'picture' | 'numbers'
  /** The framework's name; members of lists by number, `hidden_states.-2`. */
  readonly name: string
  /** Name of the graph's output. */
  readonly output: string
  /** Made only when a call asks for it by name. */
  readonly onDemand?: boolean
}

/** The ports of one network, whatever the sizes. */
export interface ModelPorts {
  readonly inputs: readonly InputPort[]
  readonly outputs: readonly OutputPort[]
  /** The smallest sizes the network takes: enough to know its tensors. */
  readonly smallest: Sizes
}

/** One network for given sizes. */
export interface ModelGraph extends ModelPorts {
  readonly graph: Graph
}

/** Which component a network is built as. */
export interface Place {
  /** `transformer`, `text_encoder`, `vae`. */
  readonly component: string
  /** Half of an autoencoder. */
  readonly part?: 'encoder' | 'decoder'
  /** The config's file, for messages; the component's name when left out. */
  readonly configFile?: string
  /** Put before every tensor name with a slash, for checkpoints that hold several components. */
  readonly scope?: string
}

/** A network as it was recognised in a file that has no config. */
export interface Recognised {
  readonly config: Readonly<Record<string, unknown>>
  /** The halves that the file holds. */
  readonly parts?: readonly ('encoder' | 'decoder')[]
}

/** One network class. */
export interface ModelDefinition {
  /** `PixArtTransformer2DModel`: the class of diffusers or transformers. */
  readonly className: string
  /** The halves a place must choose from; left out for networks that are one. */
  readonly parts?: readonly ('encoder' | 'decoder')[]
  /** How names of published checkpoints become the names the graph asks for. */
  renames(config: unknown, at: Place): RenameTable
  /** Ports for a config. Throws `invalid-config` naming file and field. */
  ports(config: unknown, at: Place): ModelPorts
  /**
   * The graph for given sizes. Throws `invalid-config` naming file and field, and `shape-mismatch` for sizes that the
   * network cannot take.
   *
   * @param outputs - names of the output ports to make. @defaultValue all that are not on demand
   * @param form - `controlled` for networks whose ports have that form. @defaultValue 'plain'
   */
  build(config: unknown, at: Place, sizes: Sizes, outputs?: readonly string[], form?: Form): ModelGraph
  /** The config of weights that came without one, by names and shapes; `undefined` when they are something else. */
  recognise?(shapes: ReadonlyMap<string, Shape>): Recognised | undefined
}

/**
 * Closes a network over the asked outputs.
 *
 * @param made - every output the network can make, by graph name.
 *
 * Throws `invalid-argument` for a name that is no output port.
 */
export function modelGraph(
  name: string,
  ports: ModelPorts,
  made: Readonly<Record<string, Value | undefined>>,
  asked: readonly string[] | undefined,
): ModelGraph {
  const wanted = asked ?? ports.outputs.filter((port) => !port.onDemand).map((port) => port.name)
  const outputs = wanted.map((output) => {
    const port = ports.outputs.find((candidate) => candidate.name === output)
    if (port) return port
    const known = ports.outputs.map((candidate) => candidate.name)
    throw new EngineError('invalid-argument', `${name}: expected outputs among ${known.join(', ')}, got "${output}"`, {
      name,
      output,
      known,
    })
  })
  const values: Record<string, Value> = {}
  for (const { output } of outputs) {
    const value = made[output]
    if (!value) throw new EngineError('internal', `${name}: output "${output}" has a port and no value`)
    values[output] = value
  }
  return { ...ports, outputs, graph: graph(name, values) }
}
