/** A model without networks for tests of pipelines: its denoiser knows the answer, and every stage can be held up. */

import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfAborted } from '../../../src/errors'
import type { Stage } from '../../../src/pipelines/events'
import type { PictureCodec, PipelineModel } from '../../../src/pipelines/model'
import { paddedReader } from '../../../src/pipelines/paddedText'
import type { FloatPicture } from '../../../src/pipelines/picture'
import type { Label } from '../../../src/text/labels'
import { indexLabels } from '../../../src/text/nearestLabels'
import type { Encoding } from '../../../src/text/tokenizer'

const labels: Label[] = [{ emoji: '🚀', captions: { en: ['rocket'], ja: ['ロケット'] } }]
const CHANNELS = 4
const CELLS = 2

export interface ClosedForm {
  readonly model: PipelineModel
  readonly calls: { stage: Stage; rows: number }[]
  disposed: boolean
  /** Requests whose texts are held. */
  prepared: number
  /** Runs before each call of a stage. */
  onCall: (stage: Stage) => void | Promise<void>
}

/** Data is `prompt code / 8` everywhere; guidance pulls from the negative prompt's. Pictures repeat the latent's mean. */
export async function closedFormModel(): Promise<ClosedForm> {
  const calls: ClosedForm['calls'] = []
  const call = async (stage: Stage, rows: number, signal: AbortSignal) => {
    throwIfAborted(signal)
    calls.push({ stage, rows })
    await form.onCall(stage)
    await sleep(1)
    throwIfAborted(signal)
  }
  const reader = paddedReader({
    tokenizer: {
      vocabulary: 256,
      maxLength: 8,
      async encode(prompt: string, length: number) {
        const ids = new Int32Array(length)
        ids.set([...prompt].slice(0, length).map((c) => c.codePointAt(0) ?? 0))
        const tokens = [...prompt].length
        return { ids, length: Math.min(length, tokens), truncated: tokens > length, tokens }
      },
    },
    textLength: 8,
    subject: (prompt) => prompt,
    async encoder(rows: readonly Encoding[], signal: AbortSignal) {
      await call('text', rows.length, signal)
      return rows.map(({ ids }) => Float32Array.of((ids.reduce((sum, id) => sum + id, 0) % 8) / 8))
    },
    state: (hidden) => ({ inputs: { hidden }, textLength: 8 }),
    labels: await indexLabels(labels),
  })
  const codec: PictureCodec = {
    scaling: { scale: 2, shift: 0.25 },
    tiling: async () => undefined,
    async decode(latents, _size, _tiling, signal) {
      await call('decode', latents.length, signal)
      return latents.map((latent) => flat((latent[0] ?? 0) - 0.25 + 0.01 * (latent[5] ?? 0), 16))
    },
    // What decode undoes, whatever the picture's pixels but the first of each cell are.
    async encode(pictures, _tiling, signal) {
      await call('encode', pictures.length, signal)
      return pictures.map(({ data, width }) => {
        const side = width / CELLS
        const cell = (i: number) => data[(Math.floor(i / CELLS) * side * width + (i % CELLS) * side) * 3] ?? 0
        return Float32Array.from({ length: CELLS * CELLS * CHANNELS }, (_, i) => cell(Math.floor(i / CHANNELS)) + 0.25)
      })
    },
  }
  const form: ClosedForm = {
    calls,
    disposed: false,
    prepared: 0,
    onCall: () => {},
    model: {
      name: 'closed-form',
      hash: 'none',
      device: { backend: 'host', arithmetic: 'float32' },
      dtype: 'f32',
      quantize: 'none',
      threads: 1,
      unused: [],
      defaults: { steps: 4, guidance: 2, size: 64 },
      sizes: { native: 16, multiple: undefined, upscale: 4 },
      abilities: {
        encodes: true,
        readsMask: false,
        embedsGuidance: false,
        controlNets: 0,
        previews: true,
        opacity: false,
        tiles: false,
        windows: false,
      },
      styles: {
        default: 'plain',
        forms: new Map([['en', '{style}{prompt}']]),
        words: new Map([
          ['plain', new Map([['en', 'plain']])],
          ['bold', new Map([['en', 'b']])],
        ]),
      },
      provenance: undefined,
      schedulerConfig: { _class_name: 'FlowMatchEulerDiscreteScheduler', num_train_timesteps: 1000, shift: 1 },
      latentChannels: CHANNELS,
      pixelsPerCell: 16 / CELLS,
      reader,
      controlNets: [],
      loras: [],
      inversions: [],
      withLoras: async () => form.model,
      codec,
      preview: codec,
      async session(_plan, signal) {
        throwIfAborted(signal)
        form.prepared += 1
        return {
          async denoise(rows, stop) {
            await call('denoise', rows.length, stop)
            // flow = noise - x0 with x = (1 - s) x0 + s noise: flow = (x - x0) / s
            return rows.map(({ latent, level, text }) =>
              latent.map((x) => (x - (text.inputs.hidden?.[0] ?? 0)) / level.sigma),
            )
          },
          [Symbol.dispose]() {
            form.prepared -= 1
          },
        }
      },
      async upscale(picture, signal) {
        await call('upscale', 1, signal)
        return flat(picture.data[0] ?? 0, picture.width * 4)
      },
      memory: () => ({ weightsBytes: 1, statesBytes: 2, arenaBytes: 3 }),
      dispose() {
        form.disposed = true
      },
    },
  }
  return form
}

function flat(value: number, side: number): FloatPicture {
  return { data: new Float32Array(side * side * 3).fill(value), width: side, height: side }
}
