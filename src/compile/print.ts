/** The text form of Programs: buffers, then steps, one line each; a golden in the tests. */

import { recipeText } from '../graph/recipeText'
import { formatShape } from '../tensor/shape'
import { KERNELS } from './kernels'
import type { BufferSpec, Program, Step } from './program'

/**
 * ```
 * program taesd/row: arena 8192
 * b0 sample [8, 8, 4] f32 input 0
 * matmul b4 = (b1, b2, b3) {splits 1, kBlock 256} silu; add b7; at to_out.0
 * ```
 */
export function printProgram(program: Program): string {
  return [
    `program ${program.name}: arena ${program.arenaBytes}`,
    ...program.params.map(
      (param, index) =>
        `p${index} ${param.packing} ${param.dtype} ${formatShape(param.shape)} ${recipeText(param.recipe)}`,
    ),
    ...program.buffers.map((buffer, index) => `b${index} ${printBuffer(buffer)}`),
    ...program.inputs.map((port) => `input ${port.name} b${port.buffer}`),
    ...program.outputs.map((port) => `output ${port.name} b${port.buffer}`),
    ...program.steps.map(printStep),
    '',
  ].join('\n')
}

function printBuffer({ name, dtype, shape, pitch, storage }: BufferSpec): string {
  const place =
    storage.kind === 'arena'
      ? `@${storage.offset}`
      : storage.kind === 'view'
        ? `b${storage.base} +${storage.byteOffset}`
        : `${storage.index}`
  return `${dtype} ${formatShape(shape)}${pitch === (shape.at(-1) ?? 1) ? '' : ` pitch ${pitch}`} ${storage.kind} ${place} ${name}`
}

function printStep(step: Step): string {
  const operands = step.operands.map((operand) => (operand === null ? '-' : `b${operand}`)).join(', ')
  const names = KERNELS[step.kernel].attrs
  const attrs = step.attrs
    .map((attr, index) => `${names[index]?.endsWith('...') === false ? `${names[index]} ` : ''}${attr}`)
    .join(', ')
  const epilogue = step.epilogue.map((op) =>
    [op.op, op.operand === undefined ? undefined : `b${op.operand}`, op.value]
      .filter((part) => part !== undefined)
      .join(' '),
  )
  return `${step.kernel} b${step.output} = (${operands})${attrs ? ` {${attrs}}` : ''}${epilogue.length > 0 ? ` ${epilogue.join('; ')}` : ''} at ${step.at}`
}
