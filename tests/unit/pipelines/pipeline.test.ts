/** Generate, stream, abort, dispose, concurrency and diagnostics, on a model whose answer is known. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Provenance } from '../../../src/images/metadata'
import type { Stage, StreamEvent } from '../../../src/pipelines/events'
import { optionsFromMetadata } from '../../../src/pipelines/optionsFromMetadata'
import { Pipeline } from '../../../src/pipelines/pipeline'
import { type ClosedForm, closedFormModel } from './closedFormModel'

let form: ClosedForm
let pipe: Pipeline
beforeEach(async () => {
  form = await closedFormModel()
  pipe = new Pipeline(form.model)
})
afterEach(() => pipe.dispose())

const STAGES: readonly Stage[] = ['text', 'denoise', 'decode', 'upscale']

describe('generate', () => {
  it('gives pictures of the size asked for, with metadata and timings', async () => {
    const { images, seed, timings, warnings } = await pipe.generate({ prompt: 'rocket', seed: 7, count: 2, size: 32 })
    expect(images.map(({ width, height, data }) => [width, height, data.length])).toEqual([
      [32, 32, 3072],
      [32, 32, 3072],
    ])
    expect(seed).toBe(7)
    expect(warnings).toEqual([])
    expect(images[1]?.metadata).toMatchObject({ seed: 8, steps: 4, guidance: 2, width: 32, sampler: 'euler' })
    expect(images[0]?.metadata).not.toHaveProperty('prompt')
    const stages = timings.textMs + timings.denoiseMs + timings.decodeMs + timings.upscaleMs
    expect(timings.totalMs).toBeGreaterThanOrEqual(stages)
    expect(Math.min(...Object.values(timings))).toBeGreaterThan(0)
  })

  it('batches pictures and guidance, and stays out of guidance at 1', async () => {
    await pipe.generate({ prompt: 'rocket', count: 3 })
    expect(form.calls.filter(({ stage }) => stage === 'denoise').map(({ rows }) => rows)).toEqual([6, 6, 6, 6])
    form.calls.length = 0
    await pipe.generate({ prompt: 'rocket', count: 3, guidance: 1 })
    expect(form.calls.filter(({ stage }) => stage === 'denoise').map(({ rows }) => rows)).toEqual([3, 3, 3, 3])
  })

  it('runs the row without the prompt where guidance or the sampler looks at it', async () => {
    const rows = () => form.calls.filter(({ stage }) => stage === 'denoise').map((call) => call.rows)
    await pipe.generate({ prompt: 'rocket', guidanceInterval: [0.4, 1] })
    expect(rows()).toEqual([1, 1, 2, 1]) // noise ratios: infinite, 2, 0.5, 0.001
    form.calls.length = 0
    await pipe.generate({ prompt: 'rocket', sampler: 'euler_cfg_pp', guidance: 1 })
    expect(rows()).toEqual([2, 2, 2, 2])
  })

  it('puts the words of a style to the prompt', async () => {
    const styled = await pipe.generate({ prompt: 'rocket', style: 'bold', seed: 3 })
    const said = await pipe.generate({ prompt: 'brocket', seed: 3 })
    const plain = await pipe.generate({ prompt: 'rocket', style: 'plain', seed: 3, metadata: { prompt: true } })
    expect(styled.images[0]?.data).toEqual(said.images[0]?.data)
    expect(styled.images[0]?.data).not.toEqual(plain.images[0]?.data)
    expect(plain.images[0]?.metadata).toMatchObject({ style: 'plain', prompt: 'rocket' })
    expect(optionsFromMetadata(styled.images[0]?.metadata as Provenance)).toMatchObject({ style: 'bold' })
  })

  it('takes options of the sampler', async () => {
    const options = { prompt: 'rocket', sampler: 'eulerAncestral', seed: 3 }
    const calm = await pipe.generate({ ...options, samplerOptions: { eta: 0 } })
    expect(calm.images[0]?.metadata).toMatchObject({ samplerOptions: { eta: 0 } })
    await expect(pipe.generate({ ...options, samplerOptions: { etta: 0 } })).rejects.toMatchObject({
      code: 'unknown-option',
    })
  })

  it('follows the equation of guidance', async () => {
    const { images } = await pipe.generate({ prompt: 'abc', negativePrompt: 'b', guidance: 3, seed: 1 })
    // x0 = u + 3 (c - u) with c = 294 mod 8 / 8 = 6/8, u = 98 mod 8 / 8 = 2/8; latent = x0 / 2 + 0.25
    const latent = (2 / 8 + 3 * (4 / 8)) / 2 + 0.25
    expect(images[0]?.data[0]).toBe(Math.floor((latent - 0.25 + 0.01 * latent) * 255 + 0.5))
  })

  it('gives a picture the same bytes alone, in a batch, and among other requests', async () => {
    const options = { prompt: 'rocket', sampler: 'eulerAncestral', steps: 6 }
    const batch = await pipe.generate({ ...options, seed: 3, count: 18 })
    const others = Array.from({ length: 5 }, (_, i) => pipe.generate({ prompt: `other ${i}`, seed: i }))
    const [alone] = await Promise.all([pipe.generate({ ...options, seed: 20 }), ...others])
    expect(alone?.images[0]?.data).toEqual(batch.images[17]?.data)
  })

  it('holds texts on the device while a request runs, however it ends', async () => {
    let most = 0
    form.onCall = (stage) => {
      if (stage === 'denoise') most = Math.max(most, form.prepared)
    }
    await Promise.all([pipe.generate({ prompt: 'rocket' }), pipe.generate({ prompt: 'other' })])
    expect([most, form.prepared]).toEqual([2, 0])
    const controller = new AbortController()
    form.onCall = (stage) => {
      if (stage === 'denoise') controller.abort()
    }
    await expect(pipe.generate({ prompt: 'rocket', signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    })
    expect(form.prepared).toBe(0)
  })

  it('warns of strange and of long prompts', async () => {
    const { warnings } = await pipe.generate({ prompt: 'stock market crash' })
    expect(warnings).toMatchObject([
      { code: 'prompt-truncated', tokens: 18, limit: 8 },
      { code: 'far-from-training', nearest: [] },
    ])
  })

  it('reports the seed it chose, which makes the picture again', async () => {
    const first = await pipe.generate({ prompt: 'rocket', sampler: 'eulerAncestral' })
    const again = await pipe.generate({ prompt: 'rocket', sampler: 'eulerAncestral', seed: first.seed })
    expect(again.images[0]?.data).toEqual(first.images[0]?.data)
    expect(again.images[0]?.metadata).toEqual(first.images[0]?.metadata)
  })

  it('writes prompts and nothing at all when told to', async () => {
    const prompts = await pipe.generate({ prompt: 'rocket', negativePrompt: 'x', metadata: { prompt: true } })
    expect(prompts.images[0]?.metadata).toMatchObject({ prompt: 'rocket', negativePrompt: 'x' })
    expect((await pipe.generate({ prompt: 'rocket', metadata: false })).images[0]?.metadata).toBeUndefined()
  })

  it('keeps the context of its caller', async () => {
    const storage = new AsyncLocalStorage<string>()
    await storage.run('mine', () => pipe.generate({ prompt: 'rocket' }))
    const seen = await storage.run('mine', async () => {
      await pipe.generate({ prompt: 'rocket' })
      return storage.getStore()
    })
    expect(seen).toBe('mine')
  })
})

describe('abort', () => {
  it.each(STAGES)('stops in the stage %s', async (stage) => {
    const controller = new AbortController()
    form.onCall = (reached) => {
      if (reached === stage) controller.abort(new Error('enough'))
    }
    const work = pipe.generate({ prompt: 'rocket', signal: controller.signal })
    await expect(work).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: new Error('enough') })
    expect(form.calls.at(-1)?.stage).toBe(stage)
  })

  it('stops before it starts', async () => {
    const work = pipe.generate({ prompt: 'rocket', signal: AbortSignal.abort() })
    await expect(work).rejects.toMatchObject({ code: 'ABORT_ERR' })
    expect(form.calls).toEqual([])
  })

  it('stops every call that waits on a signal', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const calls = Array.from({ length: 20 }, () => pipe.generate({ prompt: 'rocket', steps: 200, signal }))
    setTimeout(() => controller.abort(), 5)
    const results = await Promise.allSettled(calls)
    expect(results.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'rejected'))
  })

  it('takes a thousand calls on one signal without a warning, and keeps none of its listeners', async () => {
    const warnings: Error[] = []
    const listen = (warning: Error) => warnings.push(warning)
    process.on('warning', listen)
    const controller = new AbortController()
    const { signal } = controller
    const calls = Array.from({ length: 1000 }, () => pipe.generate({ prompt: 'rocket', steps: 1, size: 16, signal }))
    await Promise.all(calls)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warnings).toEqual([])
  })
})

describe('stream', () => {
  async function collect(options: Parameters<Pipeline['stream']>[0]): Promise<StreamEvent[]> {
    const events: StreamEvent[] = []
    for await (const event of pipe.stream(options)) events.push(event)
    return events
  }

  it('tells of progress, previews, pictures and the end', async () => {
    const events = await collect({ prompt: 'rocket', seed: 5, preview: { every: 2 }, count: 2, size: 256 })
    const kinds = events.map((event) =>
      event.type === 'progress' ? `${event.stage} ${event.done}/${event.of}` : event.type,
    )
    expect(kinds).toEqual([
      'text 1/1',
      'denoise 1/4',
      'denoise 2/4',
      'preview',
      'preview',
      'denoise 3/4',
      'denoise 4/4',
      'decode 2/2',
      'upscale 1/4',
      'upscale 2/4',
      'image',
      'upscale 3/4',
      'upscale 4/4',
      'image',
      'done',
    ])
    const [preview] = events.filter((event) => event.type === 'preview')
    expect(preview).toMatchObject({ index: 0, step: 2, image: { width: 16 } })
    const generated = await pipe.generate({ prompt: 'rocket', seed: 5, count: 2, size: 256 })
    const images = events.flatMap((event) => (event.type === 'image' ? [event.image] : []))
    expect(images.map(({ data }) => data)).toEqual(generated.images.map(({ data }) => data))
    expect(events.at(-1)).toMatchObject({ type: 'done', seed: 5, warnings: [] })
  })

  it.each([
    ['euler', 1, [1, 2, 3]],
    ['heun', 1, [1, 2, 3]],
    ['heun', 2, [2]],
  ])('previews of %s, every %i steps, come after steps %j', async (sampler, every, want) => {
    const events = await collect({ prompt: 'rocket', steps: 4, sampler, preview: { every } })
    expect(events.flatMap((event) => (event.type === 'preview' ? [event.step] : []))).toEqual(want)
  })

  it('cancels the work when the loop is left early', async () => {
    for await (const event of pipe.stream({ prompt: 'rocket', steps: 500 })) {
      if (event.type === 'progress' && event.stage === 'denoise') break
    }
    const { length } = form.calls
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(form.calls.length).toBe(length)
    expect(length).toBeLessThan(50)
  })

  it('starts nothing until it is read, and gives errors at the first event', async () => {
    const unread = pipe.stream({ prompt: 'rocket' })
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(form.calls).toEqual([])
    await unread.return()
    await expect(collect({ prompt: '' })).rejects.toMatchObject({ code: 'invalid-option' })
    form.onCall = () => {
      throw new Error('broken network')
    }
    await expect(collect({ prompt: 'rocket' })).rejects.toThrow('broken network')
  })

  it('gives a slow reader every picture', async () => {
    const events: StreamEvent[] = []
    for await (const event of pipe.stream({ prompt: 'rocket', steps: 20, count: 4, preview: {} })) {
      events.push(event)
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
    expect(events.filter(({ type }) => type === 'image').length).toBe(4)
    expect(events.length).toBeLessThan(40)
  })
})

describe('dispose', () => {
  it('refuses new work with a code', async () => {
    pipe.dispose()
    pipe.dispose()
    expect(form.disposed).toBe(true)
    await expect(pipe.generate({ prompt: 'rocket' })).rejects.toMatchObject({ code: 'disposed' })
    await expect(pipe.stream({ prompt: 'rocket' }).next()).rejects.toMatchObject({ code: 'disposed' })
    expect(() => pipe.memory()).toThrow(expect.objectContaining({ code: 'disposed' }))
  })

  it('stops running work and frees only then', async () => {
    const work = pipe.generate({ prompt: 'rocket', steps: 500 })
    await new Promise((resolve) => setTimeout(resolve, 10))
    const closed = pipe[Symbol.asyncDispose]()
    expect(form.disposed).toBe(false)
    await expect(work).rejects.toMatchObject({ name: 'EngineError', code: 'disposed' })
    await closed
    expect(form.disposed).toBe(true)
  })
})

describe('what comes first', () => {
  it.each([
    ['a signal', (stop: () => void, dispose: () => void) => [stop, dispose], 'ABORT_ERR'],
    ['dispose', (stop: () => void, dispose: () => void) => [dispose, stop], 'disposed'],
  ])('%s is what a request rejects with', async (_, order, code) => {
    const controller = new AbortController()
    const work = pipe.generate({ prompt: 'rocket', steps: 500, signal: controller.signal })
    await new Promise((resolve) => setTimeout(resolve, 10))
    for (const act of order(
      () => controller.abort('enough'),
      () => pipe.dispose(),
    )) {
      act()
    }
    await expect(work).rejects.toMatchObject({ code })
    expect(form.disposed).toBe(true)
  })
})

describe('logger', () => {
  it('that throws costs a warning, not the pictures', async () => {
    const warnings: Error[] = []
    const listen = (warning: Error) => warnings.push(warning)
    process.on('warning', listen)
    const broken = () => {
      throw new Error('the log is full')
    }
    const logged = new Pipeline(form.model, { warn: broken, debug: broken })
    const { images } = await logged.generate({ prompt: 'stock market crash' })
    expect(images.length).toBe(1)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warnings.map(({ message }) => message)).toEqual(Array(3).fill('the log is full'))
  })
})

describe('diagnostics', () => {
  it('tells of requests and steps, without prompts', async () => {
    const messages: object[] = []
    const listen = (message: unknown) => messages.push(message as object)
    for (const name of ['irodori:request', 'irodori:step']) subscribe(name, listen)
    await pipe.generate({ prompt: 'rocket', steps: 2 })
    await pipe.generate({ prompt: 'rocket', signal: AbortSignal.abort() }).catch(() => {})
    for (const name of ['irodori:request', 'irodori:step']) unsubscribe(name, listen)
    expect(messages).toMatchObject([
      { phase: 'start', steps: 2, count: 1 },
      { evaluation: 1, of: 2, rows: 2 },
      { evaluation: 2, of: 2, rows: 2 },
      { phase: 'end' },
      { phase: 'start' },
      { phase: 'error', error: { code: 'ABORT_ERR' } },
    ])
    expect(JSON.stringify(messages)).not.toContain('rocket')
  })
})
