/** Lists that TypeScript and C++ share: kernels, epilogue ops, error codes. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { EPILOGUE_OPS, KERNELS } from '../../../src/compile/kernels'
import { ERROR_CODES } from '../../../src/errors'

const source = (file: string) => readFileSync(join(__dirname, '../../../native/core', file), 'utf8')

/** Arguments of every line of that macro, as text. */
function macroLines(text: string, macro: string): string[][] {
  return [...text.matchAll(new RegExp(`^${macro}\\((k\\w+, .*)\\)$`, 'gm'))].map((match) =>
    (match[1] ?? '').split(',').map((part) => part.trim()),
  )
}

test('kernels.def has the kernels of kernels.ts, in code order', () => {
  const native = macroLines(source('kernels.def'), 'KERNEL').map(([, name, operands, required, attrs, inPlace]) => [
    name?.slice(1, -1),
    Number(operands),
    Number(required),
    Number(attrs),
    Number(inPlace),
  ])
  const ours = Object.entries(KERNELS).map(([name, spec]) => [
    name,
    spec.operands.length,
    spec.operands.filter((operand) => !operand.endsWith('?')).length,
    spec.attrs.some((attr) => attr.endsWith('...')) ? -1 : spec.attrs.length,
    Number('inPlace' in spec),
  ])
  expect(native).toEqual(ours)
})

test('kernels.def has the epilogue ops of kernels.ts, in code order', () => {
  const lines = macroLines(source('kernels.def'), 'EPILOGUE')
  expect(lines.map(([, name]) => name?.slice(1, -1))).toEqual([...EPILOGUE_OPS])
  // The verifier takes those before `scale` to read a buffer.
  expect(lines.map(([, , operand]) => operand)).toEqual(
    EPILOGUE_OPS.map((_, index) => (index < EPILOGUE_OPS.indexOf('scale') ? '1' : '0')),
  )
})

test('error_codes.def has the codes of errors.ts, in order', () => {
  const native = [...source('error_codes.def').matchAll(/^X\(k\w+, "([\w-]+)"\)$/gm)].map((match) => match[1])
  expect(native).toEqual([...ERROR_CODES])
})
