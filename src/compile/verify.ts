/** The Program verifier: every invariant by name; the native decoder checks the same again on what it is handed. */

import { EngineError } from '../errors'
import { type Pieces, whole } from '../graph/pieces'
import { isFloat, STORAGE_BYTES } from '../tensor/dtype'
import { elements } from '../tensor/shape'
import { EPILOGUE_OPS, KERNELS } from './kernels'
import { ARENA_ALIGNMENT, lifetimes, overwritten, readsOf, rootOf, rowBytes } from './passes/plan'
import { columnsOf, vectorsOf } from './place'
import type { BufferSpec, Program, Step } from './program'

/** What must hold of every Program, by name. */
export const PROGRAM_INVARIANTS = [
  'buffers',
  'arena',
  'views',
  'ports',
  'params',
  'operands',
  'attrs',
  'epilogue',
  'written',
  'overlap',
  'outputs',
] as const

export type ProgramInvariant = (typeof PROGRAM_INVARIANTS)[number]

/** Epilogue ops that read a buffer: the first five. */
const WITH_OPERAND: ReadonlySet<string> = new Set(EPILOGUE_OPS.slice(0, EPILOGUE_OPS.indexOf('scale')))

/** Throws `invalid-program` naming the invariant, the place, what was expected and what was got. */
export const verifyProgram = whole(verifyProgramPieces)

/** {@link verifyProgram} in pieces. */
export function* verifyProgramPieces(program: Program): Pieces<void> {
  const fail: Fail = (invariant, at, text) => {
    throw new EngineError('invalid-program', `${program.name}: ${invariant}(${at}): ${text}`, {
      program: program.name,
      invariant,
      at,
    })
  }
  for (const index of program.buffers.keys()) {
    verifyBuffer(program, index, fail)
    yield
  }
  verifyPorts(program, fail)
  for (const step of program.steps) {
    verifyStep(program, step, fail)
    yield
  }
  verifyWritten(program, fail)
  yield
  yield* verifyOverlap(program, fail)
}

type Fail = (invariant: ProgramInvariant, at: string, text: string) => never

function verifyBuffer(program: Program, index: number, fail: Fail): void {
  const buffer = program.buffers[index]
  if (!buffer) return
  const { name, shape, pitch, storage, dtype } = buffer
  const at = `b${index} ${name}`
  if (shape.length > 8 || !shape.every((size) => Number.isSafeInteger(size) && size >= 1))
    fail('buffers', at, `expected at most 8 sizes of at least 1, got [${shape}]`)
  if (storage.kind !== 'view' && pitch !== columnsOf(shape))
    fail('buffers', at, `expected pitch ${columnsOf(shape)}, got ${pitch}`)
  switch (storage.kind) {
    case 'arena':
      if (storage.offset < 0 || storage.offset % ARENA_ALIGNMENT !== 0)
        fail('arena', at, `expected a multiple of ${ARENA_ALIGNMENT}, got offset ${storage.offset}`)
      if (storage.offset + rowBytes(buffer) > program.arenaBytes)
        fail('arena', at, `expected a range within ${program.arenaBytes}, got ${storage.offset}+${rowBytes(buffer)}`)
      return
    case 'view': {
      const base = program.buffers[storage.base]
      if (!base || base.storage.kind === 'view')
        fail('views', at, `expected a base that is no view, got b${storage.base}`)
      if (base.dtype !== dtype) fail('views', at, `expected ${base.dtype}, got ${dtype}`)
      if (pitch < columnsOf(shape)) fail('views', at, `expected a pitch of at least ${columnsOf(shape)}, got ${pitch}`)
      const end = storage.byteOffset / STORAGE_BYTES[dtype] + (vectorsOf(shape) - 1) * pitch + columnsOf(shape)
      if (!Number.isInteger(end) || storage.byteOffset < 0 || end > elements(base.shape))
        fail('views', at, `expected a range within ${elements(base.shape)} elements, got an end at ${end}`)
      return
    }
    case 'param': {
      const param = program.params[storage.index]
      if (!param) fail('params', at, `expected a parameter below ${program.params.length}, got ${storage.index}`)
      if (param.dtype !== dtype || elements(param.shape) !== elements(shape))
        fail('params', at, `expected ${param.dtype} [${param.shape}], got ${dtype} [${shape}]`)
      if (elements(param.recipe.shape) !== elements(param.shape))
        fail('params', at, `expected a recipe of [${param.shape}], got [${param.recipe.shape}]`)
      return
    }
    case 'input':
    case 'output': {
      const ports = storage.kind === 'input' ? program.inputs : program.outputs
      if (ports[storage.index]?.buffer !== index)
        fail(
          'ports',
          at,
          `expected ${storage.kind} ${storage.index} to be this buffer, got b${ports[storage.index]?.buffer}`,
        )
      return
    }
    default:
      storage satisfies never
  }
}

function verifyPorts(program: Program, fail: Fail): void {
  for (const [kind, ports] of [
    ['input', program.inputs],
    ['output', program.outputs],
  ] as const) {
    ports.forEach((port, index) => {
      const storage = program.buffers[port.buffer]?.storage
      if (storage?.kind !== kind || storage.index !== index)
        fail('ports', port.name, `expected ${kind} ${index}, got ${storage?.kind}`)
    })
    if (new Set(ports.map((port) => port.name)).size !== ports.length)
      fail('ports', program.name, `expected distinct ${kind} names`)
  }
}

function verifyStep(program: Program, step: Step, fail: Fail): void {
  const spec = KERNELS[step.kernel]
  const required = spec.operands.filter((name) => !name.endsWith('?')).length
  const at = `${step.kernel} ${step.at}`
  if (
    step.operands.length > spec.operands.length ||
    step.operands.slice(0, required).some((operand) => operand === null) ||
    step.operands.length < required
  ) {
    fail('operands', at, `expected ${required} to ${spec.operands.length} operands, got [${step.operands}]`)
  }
  const out = program.buffers[step.output]
  if (!out) fail('operands', at, `expected an output below b${program.buffers.length}, got b${step.output}`)
  for (const operand of readsOf(step))
    if (!program.buffers[operand])
      fail('operands', at, `expected operands below b${program.buffers.length}, got b${operand}`)
  const root = program.buffers[rootOf(program.buffers, step.output)]
  if (root?.storage.kind !== 'arena' && root?.storage.kind !== 'output')
    fail('operands', at, `expected an output in the arena or a port, got ${root?.storage.kind}`)

  const listed: number = spec.attrs.findIndex((name) => name.endsWith('...'))
  const fits =
    listed < 0
      ? step.attrs.length === spec.attrs.length
      : step.attrs.length === listed + 2 * (step.attrs[listed - 1] ?? 0)
  if (!fits || !step.attrs.every(Number.isFinite))
    fail('attrs', at, `expected finite ${spec.attrs.join(', ')}, got [${step.attrs}]`)

  for (const op of step.epilogue) {
    if (WITH_OPERAND.has(op.op) !== (op.operand !== undefined))
      fail('epilogue', at, `expected ${op.op} ${WITH_OPERAND.has(op.op) ? 'with' : 'without'} an operand`)
    if (op.operand !== undefined) verifyEpilogueOperand(at, op.op, program.buffers[op.operand], out, fail)
  }
}

function verifyEpilogueOperand(
  at: string,
  op: string,
  operand: BufferSpec | undefined,
  out: BufferSpec,
  fail: Fail,
): void {
  if (!operand || !isFloat(operand.dtype))
    fail('epilogue', at, `expected real numbers for ${op}, got ${operand?.dtype}`)
  const count = elements(operand.shape)
  const every = count === elements(out.shape) && columnsOf(operand.shape) === columnsOf(out.shape)
  const channels = count === columnsOf(out.shape) && vectorsOf(operand.shape) === 1
  if (!every && !channels && count !== 1)
    fail(
      'epilogue',
      at,
      `expected ${op} with ${elements(out.shape)}, ${columnsOf(out.shape)} or 1 elements, got [${operand.shape}]`,
    )
}

/** Every read was written: whole roots by whole writes, or by views that together have as many elements. */
function verifyWritten(program: Program, fail: Fail): void {
  const whole = new Set<number>()
  const views = new Map<number, Set<number>>()
  const written = new Map<number, number>()
  for (const step of program.steps) {
    for (const operand of readsOf(step)) {
      const root = rootOf(program.buffers, operand)
      const kind = program.buffers[root]?.storage.kind
      if (kind === 'input' || kind === 'param' || whole.has(root) || views.get(root)?.has(operand)) continue
      fail('written', `${step.kernel} ${step.at}`, `expected b${operand} to be written before it is read`)
    }
    const root = rootOf(program.buffers, step.output)
    const known = views.get(root) ?? new Set()
    if (!known.has(step.output))
      written.set(root, (written.get(root) ?? 0) + elements(program.buffers[step.output]?.shape ?? []))
    views.set(root, known.add(step.output))
    if ((written.get(root) ?? 0) >= elements(program.buffers[root]?.shape ?? [])) whole.add(root)
  }
  for (const port of program.outputs)
    if (!whole.has(port.buffer)) fail('outputs', port.name, 'expected steps that write all of it')
}

/**
 * Buffers alive at the same time share no byte. With B rows a buffer takes [B·offset, B·(offset + size)): intervals that
 * are apart for one row are apart for all B, so one row's check is the proof.
 */
function* verifyOverlap(program: Program, fail: Fail): Pieces<void> {
  const { first, last } = lifetimes(program.buffers, program.steps)
  const roots = [...first.keys()].filter((root) => program.buffers[root]?.storage.kind === 'arena')
  const begin = (root: number) => {
    const storage = program.buffers[root]?.storage
    return storage?.kind === 'arena' ? storage.offset : 0
  }
  let alive: number[] = []
  for (const root of roots.toSorted((a, b) => (first.get(a) ?? 0) - (first.get(b) ?? 0))) {
    yield
    const from = first.get(root) ?? 0
    alive = alive.filter((other) => (last.get(other) ?? 0) >= from)
    const step = program.steps[from]
    const over =
      step && rootOf(program.buffers, step.output) === root ? overwritten(program.buffers, step, from, last) : undefined
    for (const other of alive) {
      const apart =
        begin(root) + rowBytes(program.buffers[root]) <= begin(other) ||
        begin(other) + rowBytes(program.buffers[other]) <= begin(root)
      if (!apart && !(other === over && begin(other) === begin(root)))
        fail('overlap', `b${root}`, `expected bytes of its own, got those of b${other}, still in use`)
    }
    alive.push(root)
  }
}
