/** A loaded pipeline: the object callers hold. */

import { performance } from 'node:perf_hooks'
import { onAbort } from '../bindings/abortFanOut'
import type { Quantization } from '../compile/passes/quantize'
import { abortError, EngineError, throwIfAborted } from '../errors'
import { checkNames, signalOption } from '../text/givenOptions'
import { publishRequest } from './diagnostics'
import { EventQueue, type StreamEvent } from './events'
import { generate } from './generate'
import { type GenerateOptions, type GenerateRequest, resolveRequest, type StreamOptions } from './generateOptions'
import { readInputs } from './inputs'
import { type Logger, tellLogger } from './logger'
import { type LoraOptions, readLoras } from './loras'
import type { PipelineMemory, PipelineModel } from './model'
import type { ModelProvenance } from './modelProvenance'
import { packageVersion } from './provenance'
import type { GenerateResult } from './result'

/** What a pipeline is. */
export interface PipelineInfo {
  readonly name: string
  readonly task: 'text-to-image'
  readonly version: string
  /** Start of a hash over the identity of all weights. */
  readonly modelHash: string
  readonly device: { readonly backend: string; readonly arithmetic: string; readonly threads: number }
  readonly dtype: string
  readonly quantize: Quantization
  /** What a request gets that leaves options out. */
  readonly defaults: { readonly steps: number; readonly guidance: number; readonly size: number }
}

/** Why `dispose` aborts a request. */
const DISPOSED = Symbol('disposed')

let requests = 0

/** A pipeline from text, and pictures where it has an encoder, to pictures. Made by `loadPipeline`; several requests may run at once. */
export class Pipeline {
  readonly info: PipelineInfo
  /** What the model was made of, at what cost, and what it cannot do; `undefined` where its folder does not say. */
  readonly provenance: ModelProvenance | undefined
  readonly #model: PipelineModel
  readonly #logger: Logger
  readonly #running = new Map<AbortController, Promise<unknown>>()
  /** Made by {@link withLoras}: they live on this one's device. */
  readonly #others = new Set<Pipeline>()
  #disposed = false

  /** @internal Use {@link loadPipeline}. */
  constructor(model: PipelineModel, logger: Logger = {}) {
    this.#model = model
    this.#logger = logger
    this.provenance = model.provenance
    const { name, hash, device, dtype, quantize, defaults, threads } = model
    this.info = {
      name,
      task: 'text-to-image',
      version: packageVersion(),
      modelHash: hash,
      device: { ...device, threads },
      dtype,
      quantize,
      defaults: { steps: defaults.steps, guidance: defaults.guidance, size: defaults.size },
    }
  }

  /**
   * Makes pictures.
   *
   * @example
   * const { images } = await pipe.generate({ prompt: 'a happy cat', seed: 7 })
   * await images[0].save('cat.png')
   *
   * @throws {@link EngineError} `invalid-option`, `unknown-option` or `unknown-sampler` for options; `missing-file`,
   * `unsupported-format` or `shape-mismatch` for pictures that were given; `disposed`.
   * @throws AbortError when the signal fires.
   */
  async generate(options: GenerateOptions): Promise<GenerateResult> {
    const request = this.#admit('generate', options)
    return this.#run(request, new AbortController(), () => {})
  }

  /**
   * Makes pictures and tells about it meanwhile. Leaving the loop early cancels the work.
   *
   * A reader that is slow loses old progress and previews, never a picture.
   *
   * @example
   * for await (const event of pipe.stream({ prompt: 'a happy cat', preview: { every: 2 } })) {
   *   if (event.type === 'image') await event.image.save('cat.png')
   * }
   *
   * @throws as {@link generate}, at the first event.
   */
  async *stream(options: StreamOptions): AsyncGenerator<StreamEvent, void, undefined> {
    const request = this.#admit('stream', options)
    const controller = new AbortController()
    const queue = new EventQueue()
    const work = this.#run(request, controller, (event) => queue.push(event)).then(
      ({ images: _told, ...rest }) => {
        queue.push({ type: 'done', ...rest })
        queue.end()
      },
      (error: unknown) => queue.end(error),
    )
    try {
      for (let event = await queue.next(); event !== undefined; event = await queue.next()) yield event
    } finally {
      controller.abort()
      await work
    }
  }

  /**
   * The same pipeline with other LoRAs in place of its own. It shares the device and every weight that they do not touch,
   * and ends with this pipeline if not before.
   *
   * @example
   * using sketchy = await pipe.withLoras([{ file: 'sketch.safetensors', scale: 0.8 }])
   *
   * @throws {@link EngineError} `invalid-option`, `unknown-option`, `missing-file`, `invalid-safetensors`,
   * `lora-mismatch` for a LoRA of another family; `disposed`.
   * @throws AbortError when the signal fires.
   */
  async withLoras(loras: readonly LoraOptions[], options: { readonly signal?: AbortSignal } = {}): Promise<Pipeline> {
    this.#assertOpen()
    const requests = readLoras(loras)
    const signal = signalOption(checkNames('withLoras', options, ['signal']))
    const model = await this.#model.withLoras(requests, signal)
    const other = new Pipeline(model, this.#logger)
    if (this.#disposed) other.dispose()
    this.#assertOpen()
    this.#others.add(other)
    return other
  }

  /** Bytes held at the moment. */
  memory(): PipelineMemory {
    this.#assertOpen()
    return this.#model.memory()
  }

  /**
   * Ends the pipeline: no new requests; running ones reject with {@link EngineError} `disposed`, and what they use is
   * freed as soon as they have stopped. A second call does nothing.
   */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    for (const other of this.#others) other.dispose()
    for (const controller of this.#running.keys()) controller.abort(DISPOSED)
    if (this.#running.size === 0) this.#model.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  /** As {@link dispose}; resolves when everything is freed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
    await Promise.allSettled(this.#running.values())
  }

  #assertOpen(): void {
    if (!this.#disposed) return
    throw new EngineError('disposed', `pipeline ${this.info.name}: expected an open pipeline, got a disposed one`)
  }

  #admit(owner: 'generate' | 'stream', options: unknown): GenerateRequest {
    this.#assertOpen()
    return resolveRequest(owner, options, this.#model)
  }

  /** Runs a request under a controller that its own signal and `dispose` can fire. */
  #run(request: GenerateRequest, controller: AbortController, tell: (event: StreamEvent) => void) {
    const { signal } = request
    const forward = () => controller.abort(signal?.reason)
    if (signal?.aborted) forward()
    const stopWaiting = signal === undefined ? () => {} : onAbort(signal, forward)
    const work = this.#observe(request, controller, tell).finally(() => {
      stopWaiting()
      this.#running.delete(controller)
      if (this.#disposed && this.#running.size === 0) this.#model.dispose()
    })
    this.#running.set(controller, work)
    return work
  }

  async #observe(request: GenerateRequest, controller: AbortController, tell: (event: StreamEvent) => void) {
    const id = ++requests
    const { steps, size, pictures } = request
    const about = { id, model: this.info.name, steps, count: pictures.length, ...size }
    const started = performance.now()
    publishRequest({ ...about, phase: 'start' })
    try {
      const { signal } = controller
      throwIfAborted(signal)
      const inputs = await readInputs(request, this.#model)
      const result = await generate(this.#model, request, inputs, { id, signal, tell })
      const durationMs = performance.now() - started
      publishRequest({ ...about, phase: 'end', durationMs })
      for (const { message, ...facts } of result.warnings) tellLogger(this.#logger, 'warn', message, facts)
      tellLogger(this.#logger, 'debug', 'generated', { ...about, durationMs })
      return result
    } catch (cause) {
      const error = this.#explain(cause, controller)
      publishRequest({ ...about, phase: 'error', durationMs: performance.now() - started, error })
      throw error
    }
  }

  /** An abort is told by what came first, the caller's signal or `dispose`: later ones do not change the reason. */
  #explain(cause: unknown, { signal }: AbortController): unknown {
    if (!signal.aborted) return cause
    if (signal.reason !== DISPOSED) return abortError(signal.reason)
    return new EngineError('disposed', `pipeline ${this.info.name}: disposed while the request ran`, { cause })
  }
}
