/** Inputs that UNets and ControlNets of Stable Diffusion share: ports, graph inputs, and the embedding of time and sizes. */

import { silu } from '../../graph/ops/activation'
import { add } from '../../graph/ops/add'
import { concat } from '../../graph/ops/concat'
import { chunk } from '../../graph/ops/slice'
import { timestepEmbedding } from '../../graph/ops/timestepEmbedding'
import { input, type Value } from '../../graph/value'
import type { InputPort, Place, Sizes } from '../model'
import { sizeOf } from '../sizes'
import { feedForward, LINEAR_PAIR } from './feedForward'
import { linearLayer } from './layers'
import type { Scope } from './scope'
import type { TextContext } from './spatialTransformer'
import type { UNetEncoderConfig } from './unetConfig'

/** Ports of the latent, the timestep, the text and its length, and of SDXL's pooled text and sizes. */
export function unetPorts(c: UNetEncoderConfig): InputPort[] {
  const added: InputPort[] =
    c.added === null
      ? []
      : [
          {
            kind: 'numbers',
            name: 'added_cond_kwargs.text_embeds',
            aliases: ['text_embeds'],
            input: 'text_embeds',
            axes: [c.added.textWidth],
          },
          {
            kind: 'numbers',
            name: 'added_cond_kwargs.time_ids',
            aliases: ['time_ids'],
            input: 'time_ids',
            axes: [c.added.ids],
          },
        ]
  return [
    { kind: 'picture', name: 'sample', input: 'sample', axes: [c.inChannels, 'height', 'width'] },
    { kind: 'timestep', name: 'timestep', input: 'timestep', axes: [] },
    {
      kind: 'numbers',
      name: 'encoder_hidden_states',
      input: 'encoder_hidden_states',
      axes: ['textLength', c.crossWidth],
    },
    { kind: 'prefixMask', name: 'encoder_attention_mask', input: 'encoder_length', axes: ['textLength'] },
    ...added,
  ]
}

/** The latent, shape [h, w, C]. */
export function sampleInput(c: UNetEncoderConfig, at: Place, sizes: Sizes): Value {
  const shape = [sizeOf(sizes, 'height', at), sizeOf(sizes, 'width', at), c.inChannels]
  return input('sample', 'latent', { shape, dtype: 'f32', axes: ['h', 'w', 'C'] })
}

/** The text that all cross-attentions read. */
export function textInput(c: UNetEncoderConfig, at: Place, sizes: Sizes): TextContext {
  const shape = [sizeOf(sizes, 'textLength', at), c.crossWidth]
  return {
    states: input('encoder_hidden_states', 'prompt', { shape, dtype: 'f32', axes: ['S', 'C'] }),
    // diffusers adds -10000 to the scores of padding: exp of that is 0 in every dtype, as if those keys did not exist.
    length: input('encoder_length', 'prompt', { shape: [1], dtype: 'i32', axes: ['_'] }),
  }
}

/**
 * SiLU of the embedding of the timestep, with SDXL's pooled text and sizes added: what every residual block projects.
 *
 * @param guidanceWidth - width of an embedded guidance scale (LCM) that is added to the sinusoids; `null` for none.
 * @returns shape [E].
 */
export function timeInput(root: Scope, c: UNetEncoderConfig, guidanceWidth: number | null): Value {
  const waves = { flip: c.flip, shift: c.freqShift }
  const channels = c.levels[0]?.channels ?? 0
  const mlp = { hidden: c.timeWidth, out: c.timeWidth, activation: 'silu', names: LINEAR_PAIR } as const
  const embedding = root.child('time_embedding')
  const timestep = input('timestep', 'step', { shape: [1], dtype: 'f32', axes: ['_'] })
  let sinusoids = timestepEmbedding('time_proj', timestep, channels, waves) // [C]
  if (guidanceWidth !== null) {
    const guidance = input('timestep_cond', 'prompt', { shape: [guidanceWidth], dtype: 'f32', axes: ['D'] })
    const projected = linearLayer(embedding.child('cond_proj'), guidance, channels, { bias: false })
    sinusoids = add(embedding.path, sinusoids, projected)
  }
  const time = feedForward(embedding, sinusoids, mlp)
  if (c.added === null) return silu('time_embedding', time)

  const { textWidth, ids, idChannels } = c.added
  const text = input('text_embeds', 'prompt', { shape: [textWidth], dtype: 'f32', axes: ['D'] })
  const numbers = input('time_ids', 'prompt', { shape: [ids], dtype: 'f32', axes: ['_'] })
  const embedded = chunk('add_time_proj', numbers, ids).map((id) =>
    timestepEmbedding('add_time_proj', id, idChannels, waves),
  )
  const extra = feedForward(root.child('add_embedding'), concat('add_embedding', [text, ...embedded], 0), mlp)
  return silu('time_embedding', add('time_embedding', time, extra))
}
