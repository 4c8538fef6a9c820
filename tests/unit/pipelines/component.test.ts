/** `loadComponent`: what it reads, what it refuses, and its life. Numbers are compared in tests/golden. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openDevice } from '../../../src/bindings'
import { type ComponentOptions, loadComponent } from '../../../src/pipelines/component'
import type { Tensor } from '../../../src/tensor/tensor'
import { toFloat32 } from '../../../src/tensor/widen'
import { readTensors, writeSafetensors } from '../../../src/weights'
import { goldenCases, numbers, readCase, readHeader, relativeL2 } from '../../golden/cases'
import { toBf16 } from '../../oracle/toBf16'

const scratch = mkdtempSync(path.join(tmpdir(), 'irodori-component-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const find = (net: string, name: string) => {
  const found = goldenCases().find((golden) => golden.net === net && golden.case === name)
  if (!found) throw new Error(`no golden ${net} ${name}`)
  return found
}
const pixart = find('pixart', 'sigma')
const clip = find('clip', 'plain')

const rejection = async (work: () => Promise<unknown>) => {
  try {
    await work()
  } catch (error) {
    return error as Error & { code: string; context: Record<string, unknown> }
  }
  throw new Error('expected a rejection')
}

let folders = 0
/** A copy of the transformer whose tensors may be changed. */
async function copyOf(change: (tensors: Record<string, Tensor>) => Record<string, Tensor>): Promise<string> {
  folders += 1
  const folder = path.join(scratch, `copy${folders}`)
  await cp(pixart.folder, folder, { recursive: true })
  const file = path.join(folder, 'transformer', 'diffusion_pytorch_model.safetensors')
  await writeSafetensors(file, change(await readTensors(await readHeader(file))))
  return folder
}

describe('files', () => {
  it('reads shards, halves in the files, a bare component and its own names alike', async () => {
    const { inputs, outputs } = await readCase(pixart)
    const want = numbers(outputs.sample)
    const file = path.join(pixart.folder, 'transformer', 'diffusion_pytorch_model.safetensors')
    const tensors = Object.entries(await readTensors(await readHeader(file)))
    const config = path.join(pixart.folder, 'transformer', 'config.json')

    const sharded = path.join(scratch, 'sharded')
    mkdirSync(sharded)
    await cp(config, path.join(sharded, 'config.json'))
    const weightMap: Record<string, string> = {}
    for (const shard of [0, 1, 2]) {
      const part = Object.fromEntries(tensors.filter((_, i) => i % 3 === shard))
      await writeSafetensors(path.join(sharded, `part-${shard}.safetensors`), part)
      for (const name of Object.keys(part)) weightMap[name] = `part-${shard}.safetensors`
    }
    writeFileSync(
      path.join(sharded, 'diffusion_pytorch_model.safetensors.index.json'),
      JSON.stringify({ weight_map: weightMap }),
    )

    const brain = path.join(scratch, 'brain')
    mkdirSync(brain)
    await cp(config, path.join(brain, 'config.json'))
    await writeSafetensors(
      path.join(brain, 'diffusion_pytorch_model.bf16.safetensors'),
      Object.fromEntries(tensors.map(([name, tensor]) => [name, toBfloat16(tensor)])),
    )

    for (const [folder, tolerance] of [
      [sharded, 1e-5],
      [brain, 2e-2],
      [path.join(pixart.folder, 'transformer'), 1e-5],
    ] as const) {
      using component = await loadComponent(folder, 'transformer', { dtype: 'f32' })
      expect(relativeL2(numbers((await component.run(inputs)).sample), want)).toBeLessThan(tolerance)
    }
  })

  it('names all tensors that are missing, all of another shape, and those it does not use', async () => {
    const without = await copyOf(({ 'proj_out.weight': _a, 'adaln_single.linear.bias': _b, ...rest }) => rest)
    expect(await rejection(() => loadComponent(without, 'transformer'))).toMatchObject({
      code: 'missing-tensor',
      context: { missing: ['adaln_single.linear.bias', 'proj_out.weight'] },
    })
    const wider = await copyOf((tensors) => ({
      ...tensors,
      'proj_out.bias': { dtype: 'f32', shape: [3], data: new Float32Array(3) },
    }))
    expect(await rejection(() => loadComponent(wider, 'transformer'))).toMatchObject({ code: 'shape-mismatch' })

    const more = await copyOf((tensors) => ({
      ...tensors,
      'ema.step': { dtype: 'i64', shape: [], data: new BigInt64Array(1) },
    }))
    const told: unknown[] = []
    const listen = (message: unknown): void => void told.push(message)
    subscribe('irodori:load', listen)
    try {
      using component = await loadComponent(more, 'transformer')
      expect(component.unused).toEqual(['ema.step'])
      expect(told).toMatchObject([{ phase: 'start' }, { phase: 'end', component: 'transformer', unused: ['ema.step'] }])
    } finally {
      unsubscribe('irodori:load', listen)
    }
  })

  it.each([
    ['no such folder', path.join(scratch, 'nowhere'), 'transformer', {}, 'missing-file'],
    ['no such component', pixart.folder, 'unet', {}, 'unknown-component'],
    ['half of what is whole', pixart.folder, 'transformer.decoder', {}, 'unknown-component'],
    ['the whole of what has halves', find('taesd', 'published').folder, 'vae', {}, 'unknown-component'],
    ['a variant that is not there', pixart.folder, 'transformer', { variant: 'fp16' }, 'missing-file'],
    [
      'the other half of a file',
      path.join(find('taesd', 'published').folder, 'raw_decoder.safetensors'),
      'vae.encoder',
      {},
      'unknown-component',
    ],
    ['a file of nobody', pixart.file, 'transformer', {}, 'unsupported-model'],
    ['an unknown option', pixart.folder, 'transformer', { dtyp: 'f32' }, 'unknown-option'],
    ['an unknown dtype', pixart.folder, 'transformer', { dtype: 'int8' }, 'invalid-option'],
    ['an unknown quantisation', pixart.folder, 'transformer', { quantize: 'int4' }, 'invalid-option'],
    ['an unknown device', pixart.folder, 'transformer', { device: 'cuda:0' }, 'invalid-option'],
    ['an object as device', pixart.folder, 'transformer', { device: {} }, 'invalid-option'],
    [
      'instructions for the reference',
      pixart.folder,
      'transformer',
      { device: 'reference', instructions: 'avx2' },
      'invalid-option',
    ],
    ['half a thread', pixart.folder, 'transformer', { threads: 0.5 }, 'invalid-option'],
    ['something as progress', pixart.folder, 'transformer', { onProgress: 3 }, 'invalid-option'],
    ['something as signal', pixart.folder, 'transformer', { signal: 3 }, 'invalid-option'],
  ] as [string, string, string, Record<string, unknown>, string][])(
    'refuses %s',
    async (_what, folder, name, options, code) => {
      expect(await rejection(() => loadComponent(folder, name, options as ComponentOptions))).toMatchObject({
        name: 'EngineError',
        code,
      })
    },
  )

  it('refuses a truncated file and a config that is no JSON', async () => {
    const folder = await copyOf((tensors) => tensors)
    writeFileSync(path.join(folder, 'transformer', 'diffusion_pytorch_model.safetensors'), Buffer.alloc(100))
    expect(await rejection(() => loadComponent(folder, 'transformer'))).toMatchObject({ code: 'invalid-safetensors' })
    writeFileSync(path.join(folder, 'transformer', 'config.json'), '{')
    expect(await rejection(() => loadComponent(folder, 'transformer'))).toMatchObject({ code: 'invalid-config' })
  })
})

describe('runs', () => {
  it('makes the outputs that are asked for', async () => {
    const { inputs } = await readCase(clip)
    using component = await loadComponent(clip.folder, 'text_encoder')
    expect(Object.keys(await component.run(inputs))).toEqual(['last_hidden_state', 'pooler_output', 'hidden_states.-2'])
    expect(Object.keys(await component.run(inputs, { outputs: ['hidden_states.1'] }))).toEqual(['hidden_states.1'])
    expect(await rejection(() => component.run(inputs, { outputs: ['logits'] }))).toMatchObject({
      code: 'invalid-argument',
    })
    expect(await rejection(() => component.run(inputs, { outputs: 'logits' as never }))).toMatchObject({
      code: 'invalid-option',
    })
    expect(await rejection(() => component.run(inputs, { steps: 3 } as never))).toMatchObject({
      code: 'unknown-option',
    })
  })

  it('packs weights once: runs of other sizes add position tables only', async () => {
    using component = await loadComponent(pixart.folder, 'transformer', { dtype: 'f32' })
    const before = component.memory().packBytes
    for (const side of [8, 16, 20]) await component.run(await latents(side))
    const { packBytes, shapes } = component.memory()
    expect(shapes).toBe(3)
    const tables = (8 * 8 + 4 * 4 + 10 * 10) * 24 * 4
    expect(packBytes - before).toBeLessThanOrEqual(tables)
  })

  it('forgets the sizes that were used longest ago', async () => {
    using component = await loadComponent(pixart.folder, 'transformer')
    for (let side = 2; side <= 22; side += 2) await component.run(await latents(side))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(component.memory().shapes).toBe(8)
    // Tables of forgotten sizes went with them.
    const { packBytes } = component.memory()
    for (let side = 2; side <= 22; side += 2) await component.run(await latents(side))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(component.memory().packBytes).toBe(packBytes)
  })

  it('answers overlapping runs of several sizes as it answers each alone', async () => {
    using component = await loadComponent(pixart.folder, 'transformer')
    const sides = [4, 6, 4, 8, 6, 4]
    const alone = []
    for (const side of sides) alone.push((await component.run(await latents(side))).sample?.data)
    const inputs = await Promise.all(sides.map(latents))
    const together = await Promise.all(inputs.map((input) => component.run(input)))
    expect(together.map((result) => result.sample?.data)).toEqual(alone)
  })

  it.each([undefined, null, 7, 'x', [], new Float32Array(4)])('refuses %s for inputs', async (inputs) => {
    using component = await loadComponent(clip.folder, 'text_encoder')
    const error = await rejection(() => component.run(inputs as never))
    expect(error).toMatchObject({ name: 'EngineError', code: 'invalid-argument' })
    expect(error.message).toMatch(/expected .*, got /)
  })

  it('may be given arrays that are changed afterwards', async () => {
    using component = await loadComponent(pixart.folder, 'transformer')
    const { inputs } = await readCase(pixart)
    const want = (await component.run(inputs)).sample?.data
    const running = component.run(inputs)
    for (const { data } of Object.values(inputs)) data.fill(0 as never)
    expect((await running).sample?.data).toEqual(want)
  })
})

describe('life', () => {
  it.each([
    [undefined, 'transformer'],
    [pixart.folder, undefined],
    [null, 'transformer'],
    [pixart.folder, 3],
    ['', 'transformer'],
    [pixart.folder, ''],
  ])('refuses to load %s, %s', async (folder, name) => {
    const error = await rejection(() => loadComponent(folder as never, name as never))
    expect(error).toMatchObject({ name: 'EngineError', code: 'invalid-argument' })
    expect(error.message).toMatch(/expected .*, got /)
  })

  it('ends with AbortError when the signal fires, before or during loading and running, and lives on', async () => {
    const aborted = { name: 'AbortError', code: 'ABORT_ERR' }
    expect(
      await rejection(() => loadComponent(pixart.folder, 'transformer', { signal: AbortSignal.abort('why') })),
    ).toMatchObject({ ...aborted, cause: 'why' })
    const loading = new AbortController()
    const pending = loadComponent(pixart.folder, 'transformer', {
      signal: loading.signal,
      onProgress: () => loading.abort(),
    })
    expect(await rejection(() => pending)).toMatchObject(aborted)

    using component = await loadComponent(pixart.folder, 'transformer')
    expect(
      await rejection(async () => component.run(await latents(16), { signal: AbortSignal.abort() })),
    ).toMatchObject(aborted)
    const running = new AbortController()
    const run = component.run(await latents(16), { signal: running.signal })
    running.abort()
    expect(await rejection(() => run)).toMatchObject(aborted)
    expect((await component.run(await latents(16))).sample?.shape).toEqual([3, 8, 16, 16])
  })

  it('finishes what is under way when disposed, then refuses', async () => {
    const component = await loadComponent(pixart.folder, 'transformer')
    const first = component.run(await latents(8))
    component.dispose()
    component.dispose()
    expect((await first).sample?.shape).toEqual([3, 8, 8, 8])
    expect(await rejection(async () => component.run(await latents(8)))).toMatchObject({ code: 'disposed' })
  })

  it('shares a device that is open and leaves it open', async () => {
    using device = openDevice()
    const one = await loadComponent(pixart.folder, 'transformer', { device })
    using other = await loadComponent(clip.folder, 'text_encoder', { device })
    one.dispose()
    const { inputs } = await readCase(clip)
    expect(await other.run(inputs)).toHaveProperty('pooler_output')
    expect(await rejection(() => loadComponent(pixart.folder, 'transformer', { device, threads: 1 }))).toMatchObject({
      code: 'invalid-option',
    })
  })

  it('packs what a component of the same files has packed on that device no second time', async () => {
    using device = openDevice()
    using one = await loadComponent(pixart.folder, 'transformer', { device })
    const { packBytes } = device.memory()
    using two = await loadComponent(pixart.folder, 'transformer', { device })
    expect(device.memory().packBytes).toBe(packBytes)
    const { inputs } = await readCase(pixart)
    expect(await two.run(inputs)).toEqual(await one.run(inputs))
  })

  it('tells how far loading is', async () => {
    const seen: number[] = []
    using component = await loadComponent(pixart.folder, 'transformer', {
      onProgress: ({ doneBytes, totalBytes }) => seen.push(doneBytes / totalBytes),
    })
    expect(component.className).toBe('PixArtTransformer2DModel')
    expect(seen.at(-1)).toBe(1)
    expect([...seen].sort((a, b) => a - b)).toEqual(seen)
  })
})

/** The case's inputs with latents of another size. */
async function latents(side: number): Promise<Record<string, Tensor>> {
  const { inputs } = await readCase(pixart)
  const data = Float32Array.from({ length: 3 * 4 * side * side }, (_, i) => Math.sin(i * 12.9898) * 1.5)
  return { ...inputs, hidden_states: { dtype: 'f32', shape: [3, 4, side, side], data } }
}

function toBfloat16(tensor: Tensor): Tensor {
  return { ...tensor, dtype: 'bf16', data: toBf16(toFloat32(tensor)) }
}
