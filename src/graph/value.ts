/** Values of a graph: immutable nodes of a DAG that describes one network for one row (one sample, no batch axis). */

import type { Shape } from '../tensor/shape'
import type { Recipe } from './recipe'

/** What a graph input belongs to; decides how often work that depends on it alone must run. */
export type InputKind = 'prompt' | 'image' | 'step' | 'latent'

/** The kinds a value depends on, in the fixed order prompt, image, step, latent, joined by `+`; empty for constants. */
export type InputSet = string

/** Numbers (`f32`: real, stored as the compiler's precision pass decides) or integers (`i32`: ids, lengths). */
export type ValueDType = 'f32' | 'i32'

/** Shape, element kind and axis labels of a value. Pictures are channels-last: `[H, W, C]` is the memory of `[H*W, C]`. */
export interface ValueType {
  readonly shape: Shape
  readonly dtype: ValueDType
  /** One label per axis, for people: `['h', 'w', 'C']`. */
  readonly axes: readonly string[]
}

/** Attribute values of an op: plain data, so that graphs print, compare and hash. */
export type Attr = number | boolean | string | readonly number[]
export type Attrs = Readonly<Record<string, Attr>>

/** Where a value comes from. */
export type Origin =
  | { readonly kind: 'input'; readonly name: string; readonly belongsTo: InputKind }
  | { readonly kind: 'param'; readonly recipe: Recipe }
  | { readonly kind: 'op'; readonly op: string; readonly inputs: readonly Value[]; readonly attrs: Attrs }

/** A node of the DAG and its one result. `at` is the module path, `transformer_blocks.3.attn1.to_q`. */
export interface Value extends ValueType {
  readonly at: string
  readonly origin: Origin
  readonly set: InputSet
}

const ORDER: readonly InputKind[] = ['prompt', 'image', 'step', 'latent']

/** Every set there is, at the number whose bits are its kinds: unions are formed for every value of every pass. */
const SETS: readonly InputSet[] = Array.from({ length: 2 ** ORDER.length }, (_, bits) =>
  ORDER.filter((_, kind) => bits & (1 << kind)).join('+'),
)
const BITS: ReadonlyMap<InputSet, number> = new Map(SETS.map((set, bits) => [set, bits]))

/** Union of input sets, in canonical order. */
export function unionOfSets(sets: readonly InputSet[]): InputSet {
  let bits = 0
  for (const set of sets) bits |= BITS.get(set) ?? 0
  return SETS[bits] ?? ''
}

/**
 * Declares an input of a graph.
 *
 * @param name - the framework's `forward` argument, `sample`, `timestep`, `encoder_hidden_states`.
 * @param belongsTo - what it changes with.
 * @param type - its type; pictures channels-last.
 */
export function input(name: string, belongsTo: InputKind, type: ValueType): Value {
  return { ...type, at: name, origin: { kind: 'input', name, belongsTo }, set: belongsTo }
}

/**
 * Declares a parameter.
 *
 * @param recipe - how it is made from checkpoint tensors.
 * @param shape - its logical shape, `[out, in]` for linear, `[O, kh, kw, I]` for conv2d.
 * @param at - module path.
 */
export function param(recipe: Recipe, shape: Shape, at: string): Value {
  return { shape, dtype: 'f32', axes: shape.map(() => '_'), at, origin: { kind: 'param', recipe }, set: '' }
}
