/** Which kernel or epilogue op a primitive op becomes: one line per op. */

import { EngineError } from '../errors'
import type { Attr, Attrs, Value } from '../graph/value'
import type { Int8Storage } from '../tensor/dtype'
import { recipeOf } from './constants'
import type { EpilogueName, KernelName } from './kernels'
import type { Packing } from './program'

/**
 * What a kernel wants of an operand: `gemm-x` the network's type; `gemm-weight` a packed parameter; `table` a plain
 * parameter in the network's type; `any` whatever it is, parameters plain in float32.
 */
export type OperandRole = 'gemm-x' | 'gemm-weight' | 'table' | 'any'

export interface LaunchOperand {
  readonly value: Value
  readonly role: OperandRole
  /** Of a `gemm-weight`. @defaultValue 'gemm' */
  readonly packing?: Exclude<Packing, 'plain'>
  /** Of a `gemm-weight`: stored as int8. @defaultValue in the network's type */
  readonly int8?: Int8Storage
}

/** An element-wise op waiting in an epilogue. */
export interface LaunchEpilogue {
  readonly op: EpilogueName
  readonly operand?: Value
  readonly value?: number
}

/** A kernel call as an op alone asks for it. */
export interface KernelCall {
  readonly kernel: KernelName
  readonly operands: readonly (LaunchOperand | null)[]
  /** By name; what is missing is the schedule's to fill. */
  readonly attrs: Readonly<Record<string, number>>
  readonly epilogue: readonly LaunchEpilogue[]
}

const any = (value: Value): LaunchOperand => ({ value, role: 'any' })
const number = (attr: Attr | undefined): number => Number(attr)
const numbers = (attr: Attr | undefined): readonly number[] => (typeof attr === 'object' ? attr : [])

/** A per-channel operand: a kernel operand when it is a parameter, else part of the epilogue. */
function channel(
  value: Value | undefined,
  op: EpilogueName,
): { operand: LaunchOperand | null; epilogue: LaunchEpilogue[] } {
  if (!value) return { operand: null, epilogue: [] }
  return recipeOf(value) ? { operand: any(value), epilogue: [] } : { operand: null, epilogue: [{ op, operand: value }] }
}

/** weight and bias of a norm; a bias that follows a computed weight must wait with it. */
function affine(
  weight: Value | undefined,
  bias: Value | undefined,
): { operands: (LaunchOperand | null)[]; epilogue: LaunchEpilogue[] } {
  const w = channel(weight, 'mul')
  if (w.epilogue.length > 0 && bias)
    return { operands: [null, null], epilogue: [...w.epilogue, { op: 'add', operand: bias }] }
  const b = channel(bias, 'add')
  return { operands: [w.operand, b.operand], epilogue: [...w.epilogue, ...b.epilogue] }
}

function gemm(
  kernel: 'matmul' | 'conv2d',
  value: Value,
  [x, weight, bias]: readonly Value[],
  attrs: Record<string, number>,
): KernelCall {
  if (!x || !weight || !recipeOf(weight)) {
    throw new EngineError(
      'invalid-graph',
      `${kernel}(${value.at}): expected a parameter as weight, got ${weight?.at ?? 'nothing'}`,
    )
  }
  const b = channel(bias, 'add')
  return {
    kernel,
    operands: [{ value: x, role: 'gemm-x' }, { value: weight, role: 'gemm-weight' }, b.operand],
    attrs,
    epilogue: b.epilogue,
  }
}

type Rule = (value: Value, inputs: readonly Value[], attrs: Attrs) => KernelCall

/** A kernel that takes the op's operands as they are. */
const plain =
  (kernel: KernelName, attrsOf: (attrs: Attrs) => Record<string, number>): Rule =>
  (_value, inputs, attrs) => ({
    kernel,
    operands: inputs.map(any),
    attrs: attrsOf(attrs),
    epilogue: [],
  })

const KERNEL_RULES: Readonly<Record<string, Rule>> = {
  linear: (value, inputs) => gemm('matmul', value, inputs, { strassen: 0, quantizeX: 0 }),
  conv2d: (value, inputs, attrs) => {
    const [, kernelH = 0, kernelW = 0] = inputs[1]?.shape ?? []
    const [strideH = 1, strideW = 1] = numbers(attrs.stride)
    const [padTop = 0, padLeft = 0, padBottom = 0, padRight = 0] = numbers(attrs.padding)
    const padding = { padTop, padLeft, padBottom, padRight }
    const form = { upsample: 1, tile: 0, quantizeX: 0 }
    return gemm('conv2d', value, inputs, { kernelH, kernelW, strideH, strideW, ...padding, ...form })
  },
  attention: plain('attention', ({ heads, causal, scale }) => ({
    heads: number(heads),
    causal: causal ? 1 : 0,
    scale: number(scale),
  })),
  layer_norm: (_value, [x, weight, bias], { eps }) => {
    const { operands, epilogue } = affine(weight, bias)
    return { kernel: 'layer_norm', operands: [x ? any(x) : null, ...operands], attrs: { eps: number(eps) }, epilogue }
  },
  group_norm: (_value, [x, weight, bias], { groups, eps }) => {
    const { operands, epilogue } = affine(weight, bias)
    return {
      kernel: 'group_norm',
      operands: [x ? any(x) : null, ...operands],
      attrs: { groups: number(groups), eps: number(eps) },
      epilogue,
    }
  },
  rms_norm: (_value, [x, weight], { eps }) => {
    const { operand, epilogue } = channel(weight, 'mul')
    return { kernel: 'rms_norm', operands: [x ? any(x) : null, operand], attrs: { eps: number(eps) }, epilogue }
  },
  softmax: plain('softmax', () => ({})),
  embedding: (_value, [ids, table]) => ({
    kernel: 'embedding',
    operands: [ids ? any(ids) : null, table ? { value: table, role: 'table' } : null],
    attrs: {},
    epilogue: [],
  }),
  resize_nearest: plain('resize_nearest', () => ({})),
  resize_bilinear: plain('resize_bilinear', ({ alignCorners }) => ({ alignCorners: alignCorners ? 1 : 0 })),
  timestep_embedding: plain('timestep_embedding', ({ flip, shift, scale, maxPeriod }) => ({
    flip: flip ? 1 : 0,
    shift: number(shift),
    scale: number(scale),
    maxPeriod: number(maxPeriod),
  })),
}

/** The kernel call of an op that has one; `undefined` for element-wise ops, rearrangements and joins. */
export function kernelCallOf(value: Value): KernelCall | undefined {
  if (value.origin.kind !== 'op') return undefined
  return KERNEL_RULES[value.origin.op]?.(value, value.origin.inputs, value.origin.attrs)
}

/** Element-wise ops by the epilogue op they become; `activation` becomes its kind. */
const EPILOGUE_RULES: Readonly<Record<string, (attrs: Attrs, operand: Value | undefined) => LaunchEpilogue>> = {
  add: (_attrs, operand) => ({ op: 'add', operand }),
  sub: (_attrs, operand) => ({ op: 'sub', operand }),
  mul: (_attrs, operand) => ({ op: 'mul', operand }),
  mul_one_plus: (_attrs, operand) => ({ op: 'mul_one_plus', operand }),
  prelu: (_attrs, operand) => ({ op: 'prelu', operand }),
  scale: ({ factor }) => ({ op: 'scale', value: number(factor) }),
  offset: ({ amount }) => ({ op: 'offset', value: number(amount) }),
  leaky_relu: ({ slope }) => ({ op: 'leaky_relu', value: number(slope) }),
  activation: ({ kind }) => ({ op: kind as EpilogueName }),
}

/** Whether the op works element by element, so that it can ride in an epilogue. */
export function isElementwise(op: string): boolean {
  return op in EPILOGUE_RULES
}

/** Whether a op b equals b op a. */
export function isCommutative(op: string): boolean {
  return op === 'add' || op === 'mul'
}

/** The epilogue op of an element-wise op, applied to one operand with the other one beside it. */
export function epilogueOf(op: string, attrs: Attrs, operand: Value | undefined): LaunchEpilogue {
  const rule = EPILOGUE_RULES[op]
  if (!rule) throw new EngineError('internal', `expected an element-wise op, got "${op}"`)
  return rule(attrs, operand)
}
