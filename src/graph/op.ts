/** Op definitions: name, operand names, shape rule, cost, and either an expansion into simpler ops or a native kernel. */

import { EngineError } from '../errors'
import { elements, formatShape } from '../tensor/shape'
import { type Attrs, unionOfSets, type Value, type ValueType } from './value'

/** Throws `shape-mismatch` with the op, the module path, what was expected and all operand shapes. */
export type Fail = (expected: string, got: string) => never

/** What one op file exports, apart from its call function. */
export interface OpDefinition<A extends Attrs = Attrs> {
  /** snake_case stem, the same in cases, kernels, errors and traces. */
  readonly name: string
  /** Operand names in order; a trailing `?` marks one that may be left out at the end; `...` any number. */
  readonly operands: readonly string[]
  /** Shape, dtype and axis rule. */
  infer(inputs: readonly ValueType[], attrs: A, fail: Fail): ValueType
  /** Floating-point operations of one row (a multiply-add is two). */
  flops(inputs: readonly ValueType[], output: ValueType, attrs: A): number
  /** How the op is said in simpler ops. Left out: a native kernel of the same stem exists. */
  expand?(inputs: readonly Value[], attrs: A, at: string): Value
}

/** Applies an op at a module path. */
export type OpCall<A extends Attrs = Attrs> = (at: string, inputs: readonly Value[], attrs: A) => Value

const registry = new Map<string, OpDefinition>()
const calls = new Map<string, OpCall>()

/** The definition of an op by name; `invalid-graph` when there is none. */
export function opDefinition(name: string): OpDefinition {
  const definition = registry.get(name)
  if (!definition) throw new EngineError('invalid-graph', `graph: expected a known op, got "${name}"`)
  return definition
}

/** All registered ops, in the order of registration. */
export function opDefinitions(): readonly OpDefinition[] {
  return [...registry.values()]
}

/**
 * Registers an op and returns the function that applies it.
 *
 * @returns `(at, inputs, attrs) => Value`; `at` is the module path that errors name. Throws `shape-mismatch`.
 */
export function defineOp<A extends Attrs>(definition: OpDefinition<A>): OpCall<A> {
  if (registry.has(definition.name)) throw new EngineError('internal', `op "${definition.name}" is defined twice`)
  registry.set(definition.name, definition as unknown as OpDefinition)
  const call: OpCall<A> = (at, inputs, attrs) => {
    const fail: Fail = (expected, got) => {
      const shapes = inputs.map(
        (value, index) => `${operandName(definition, index)} ${formatShape(value.shape)} ${value.dtype}`,
      )
      throw new EngineError(
        'shape-mismatch',
        `${definition.name}(${at}): expected ${expected}, got ${got} (${shapes.join(', ')})`,
        {
          op: definition.name,
          at,
          shapes: inputs.map((value) => value.shape),
        },
      )
    }
    const { shape, dtype, axes } = definition.infer(inputs, attrs, fail)
    return {
      shape,
      dtype,
      axes,
      at,
      origin: { kind: 'op', op: definition.name, inputs, attrs },
      set: unionOfSets(inputs.map((value) => value.set)),
    }
  }
  calls.set(definition.name, call as unknown as OpCall)
  return call
}

/** Applies an op by name: how passes rebuild a value over other operands. Throws `invalid-graph` on an unknown name. */
export function applyOp(name: string, at: string, inputs: readonly Value[], attrs: Attrs): Value {
  const call = calls.get(opDefinition(name).name)
  if (!call) throw new EngineError('internal', `op "${name}" has no call`)
  return call(at, inputs, attrs)
}

/** The operand's name by position, without its markers. */
function operandName(definition: Pick<OpDefinition, 'operands'>, index: number): string {
  const name =
    definition.operands[index] ?? (definition.operands.at(-1)?.endsWith('...') ? definition.operands.at(-1) : undefined)
  return name?.replace(/[?.]/g, '') ?? `${index}`
}

/** Bytes one row of the op reads and writes when nothing is fused and every element takes `elementBytes`. */
export function bytesOf(inputs: readonly ValueType[], output: ValueType, elementBytes: number): number {
  return [...inputs, output].reduce((sum, type) => sum + elements(type.shape) * elementBytes, 0)
}
