/** `irodori infer`: tensors of a file in, tensors of a file out, and what it says. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest'
import { inferCommand } from '../../../src/cli/infer'
import { readTensors, writeSafetensors } from '../../../src/weights'
import { goldenCases, numbers, readCase, readHeader, relativeL2 } from '../../golden/cases'

const scratch = mkdtempSync(path.join(tmpdir(), 'irodori-infer-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

let stdout: MockInstance
beforeEach(() => {
  stdout = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
})
afterEach(() => stdout.mockRestore())
const printed = (): string => stdout.mock.calls.map(([text]) => String(text)).join('')

async function infer(...args: string[]): Promise<void> {
  await inferCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .parseAsync(['node', 'infer', ...args])
}

describe.each(
  goldenCases().filter(({ case: name }) =>
    ['plain', 'trained-size', 'sigma', 'three-stages', 'prelu-x4'].includes(name),
  ),
)('$net $case $component', (golden) => {
  it('writes what the framework gives', async () => {
    const { inputs, outputs } = await readCase(golden)
    const [given, made] = [path.join(scratch, 'in.safetensors'), path.join(scratch, 'out.safetensors')]
    await writeSafetensors(given, inputs)
    await infer(
      golden.folder,
      golden.component,
      '--inputs',
      given,
      '-o',
      made,
      '--dtype',
      'f32',
      '--threads',
      '1',
      '--json',
    )
    const got = await readTensors(await readHeader(made))
    const names = Object.keys(outputs).filter(
      (name) => !/^(hidden_states\.(0|-1)|normed_hidden_states\..*)$/.test(name),
    ) // on demand
    expect(Object.keys(got).sort()).toEqual(names.sort())
    for (const name of names) {
      expect(got[name]?.shape).toEqual(outputs[name]?.shape)
      expect(relativeL2(numbers(got[name]), numbers(outputs[name])), name).toBeLessThan(golden.tolerance.f32)
    }
    const report: unknown = JSON.parse(printed())
    expect(report).toMatchObject({
      component: golden.component,
      dtype: 'f32',
      device: { backend: 'cpu', threads: 1 },
      unused: [],
    })
    expect(report).toHaveProperty('timings.runMs', expect.any(Number))
    expect(report).toHaveProperty('memory.peakBytes', expect.any(Number))
  })
})

describe('options', () => {
  const golden = goldenCases().find(({ net, case: name }) => net === 'clip' && name === 'plain')
  if (!golden) throw new Error('no golden')
  const given = path.join(scratch, 'ids.safetensors')
  const made = path.join(scratch, 'states.safetensors')
  const run = async (...more: string[]): Promise<void> => {
    await writeSafetensors(given, (await readCase(golden)).inputs)
    await infer(golden.folder, 'text_encoder', '--inputs', given, '-o', made, ...more)
  }

  it('makes only the outputs that are asked for, and says so in words', async () => {
    await run('--only', 'hidden_states.0,pooler_output', '--device', 'reference')
    expect((await readHeader(made)).map(({ name }) => name).sort()).toEqual(['hidden_states.0', 'pooler_output'])
    expect(printed()).toMatch(/CLIPTextModel in f32 on reference/)
  })

  it.each([
    ['a name that is no output', ['--only', 'logits'], 'invalid-argument'],
    ['a dtype that is none', ['--dtype', 'int4'], 'commander.invalidArgument'],
    ['a device that is none', ['--device', 'tpu'], 'commander.invalidArgument'],
    ['no threads', ['--threads', '0'], 'invalid-option'],
    ['a variant without a name', ['--variant', ''], 'missing-file'],
    ['a folder that is not there', ['-o', path.join(scratch, 'no', 'where.safetensors')], 'io'],
    ['an option that is none', ['--precision', 'f32'], 'commander.unknownOption'],
  ])('refuses %s', async (_what, more, code) => {
    await expect(run(...more)).rejects.toMatchObject({ code })
  })

  it('needs inputs and output', async () => {
    await expect(infer(golden.folder, 'text_encoder', '-o', made)).rejects.toMatchObject({
      code: 'commander.missingMandatoryOptionValue',
    })
  })
})
