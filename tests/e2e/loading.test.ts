/** Loading: an open device that several pipelines share, and tensors that no network reads. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LoadMessage, loadComponent, loadPipeline, openDevice } from '../../src'
import { readSafetensorsIndex } from '../../src/bindings'
import { readTensors, writeSafetensors } from '../../src/weights'

const request = { prompt: 'a rocket', steps: 1, seed: 1, size: 64 }
let root = ''
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'irodori-loading-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

describe('an open device', () => {
  it('is shared by pipelines and components, and stays open', async () => {
    using device = openDevice({ threads: 1 })
    const [first, second] = [await loadPipeline('emoji', { device }), await loadPipeline('emoji', { device })]
    using component = await loadComponent('emoji', 'transformer', { device })
    expect(component.device).toBe(device)
    expect(first.info.device.threads).toBe(1)
    const want = (await first.generate(request)).images[0]?.data
    await first[Symbol.asyncDispose]()
    expect((await second.generate(request)).images[0]?.data).toEqual(want)
    await second[Symbol.asyncDispose]()
    expect(device.memory().packBytes).toBeGreaterThan(0) // the component's
  })

  it.each([{ threads: 2 }, { instructions: 'portable' as const }])('refuses %j beside it', async (more) => {
    using device = openDevice()
    await expect(loadPipeline('emoji', { device, ...more })).rejects.toMatchObject({ code: 'invalid-option' })
  })

  it('stays open when loading fails', async () => {
    using device = openDevice()
    const loading = loadPipeline('emoji', { device, signal: AbortSignal.abort() })
    await expect(loading).rejects.toMatchObject({ code: 'ABORT_ERR' })
    await expect(loadPipeline(root, { device })).rejects.toMatchObject({ name: 'EngineError' })
    expect(device.memory()).toMatchObject({ packBytes: 0 })
  })
})

describe('tensors that no network reads', () => {
  it('are told once', async () => {
    const folder = path.join(root, 'model')
    await cp(path.resolve(__dirname, '..', '..', 'models', 'emoji'), folder, { recursive: true })
    const file = path.join(folder, 'transformer', 'diffusion_pytorch_model.safetensors')
    const tensors = await readTensors(await readSafetensorsIndex(file))
    await writeSafetensors(file, { ...tensors, stray: { dtype: 'f32', shape: [1], data: new Float32Array(1) } })
    const messages: LoadMessage[] = []
    const listen = (message: unknown) => messages.push(message as LoadMessage)
    const warnings: (readonly [message: string, facts?: object | undefined])[] = []
    subscribe('irodori:load', listen)
    const pipe = await loadPipeline(folder, { logger: { warn: (...told) => warnings.push(told) } })
    unsubscribe('irodori:load', listen)
    pipe.dispose()
    expect(messages).toMatchObject([{ phase: 'start' }, { phase: 'end', unused: ['transformer/stray'] }])
    expect(warnings).toEqual([['unused tensors in model: 1', { unused: ['transformer/stray'] }]])
  })
})
