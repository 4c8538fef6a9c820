/**
 * CLIP's text encoder, as transformers' `CLIPTextModel` and `CLIPTextModelWithProjection` compute it.
 *
 * Radford et al. 2021 (arXiv:2103.00020): pre-norm transformer with causal attention; the pooled vector is the last
 * state at the end-of-text token.
 */

import { EngineError } from '../errors'
import type { ActivationName } from '../graph/ops/activation'
import { add } from '../graph/ops/add'
import { concat } from '../graph/ops/concat'
import { embedding } from '../graph/ops/embedding'
import { reshape } from '../graph/ops/reshape'
import { sliceRecipe } from '../graph/recipe'
import { input, param, type Value } from '../graph/value'
import { jsonFields } from '../weights/jsonFields'
import { attentionLayer, type ProjectionNames } from './blocks/attentionLayer'
import { feedForward } from './blocks/feedForward'
import { embeddingLayer, layerNormLayer, linearLayer } from './blocks/layers'
import { rootScope, type Scope } from './blocks/scope'
import { type ModelDefinition, type ModelPorts, modelGraph, type OutputPort, type Place } from './model'
import { sizeOf } from './sizes'

interface ClipConfig {
  readonly vocabulary: number
  readonly width: number
  readonly hidden: number
  readonly layers: number
  readonly heads: number
  readonly positions: number
  readonly activation: ActivationName
  readonly eps: number
  readonly eos: number
  /** Width of the projected vector; `null` without projection. */
  readonly projected: number | null
}

const PROJECTIONS: ProjectionNames = { q: 'q_proj', k: 'k_proj', v: 'v_proj', out: 'out_proj' }

const ACTIVATIONS: Readonly<Record<'quick_gelu' | 'gelu' | 'gelu_pytorch_tanh' | 'gelu_new', ActivationName>> = {
  quick_gelu: 'quick_gelu',
  gelu: 'gelu',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_new: 'gelu_tanh',
}

/** Fields that `config.json` files of transformers carry for all networks and that a text encoder never reads. */
const INERT = [
  'architectures',
  'attention_dropout',
  'bos_token_id',
  'chunk_size_feed_forward',
  'dropout',
  'dtype',
  'id2label',
  'initializer_factor',
  'initializer_range',
  'is_encoder_decoder',
  'label2id',
  'output_attentions',
  'output_hidden_states',
  'pad_token_id',
  'problem_type',
  'return_dict',
  'torch_dtype',
  'transformers_version',
  'tie_word_embeddings',
]

function parse(config: unknown, at: Place, projection: boolean): ClipConfig {
  const fields = jsonFields(config, at.configFile ?? at.component)
  fields.only('model_type', 'clip_text_model')
  const width = fields.integer('hidden_size', { default: 512, min: 1 })
  const heads = fields.integer('num_attention_heads', { default: 8, min: 1 })
  if (width % heads !== 0) fields.fail('num_attention_heads', `a divisor of hidden_size ${width}`)
  const projected = fields.integerOrNull('projection_dim', { default: 512, min: 1 })
  if (projection && projected === null) fields.fail('projection_dim', 'an integer')
  const parsed: ClipConfig = {
    vocabulary: fields.integer('vocab_size', { default: 49408, min: 1 }),
    width,
    heads,
    hidden: fields.integer('intermediate_size', { default: 2048, min: 1 }),
    layers: fields.integer('num_hidden_layers', { default: 12, min: 1 }),
    positions: fields.integer('max_position_embeddings', { default: 77, min: 1 }),
    activation:
      ACTIVATIONS[fields.oneOf('hidden_act', ['quick_gelu', 'gelu', 'gelu_pytorch_tanh', 'gelu_new'], 'quick_gelu')],
    eps: fields.number('layer_norm_eps', { default: 1e-5, min: 0 }),
    eos: fields.integer('eos_token_id', { default: 49407 }),
    projected: projection ? projected : null,
  }
  fields.inert(...INERT)
  fields.end()
  return parsed
}

/** Where the pooled vector is taken: transformers' rule, the one for old configs (`eos_token_id` 2) included. */
function endOfText(ids: Int32Array, eos: number): number {
  // Old configs name 2, which is no end of text in any published vocabulary: the highest id is.
  if (eos === 2) return ids.reduce((best, id, index) => (id > (ids[best] ?? id) ? index : best), 0)
  return Math.max(ids.indexOf(eos), 0)
}

function portsOf(c: ClipConfig): ModelPorts {
  // Counted from the first and from the last; after the final norm too, which pipelines apply when they skip layers.
  const states = ['hidden_states', 'normed_hidden_states'].flatMap((list) =>
    Array.from({ length: c.layers + 1 }, (_, index): OutputPort[] => {
      const output = `${list}.${index}`
      return [
        { kind: 'numbers', name: output, output, onDemand: true },
        {
          kind: 'numbers',
          name: `${list}.${index - c.layers - 1}`,
          output,
          onDemand: list !== 'hidden_states' || index !== c.layers - 1,
        },
      ]
    }).flat(),
  )
  return {
    inputs: [
      {
        kind: 'ids',
        name: 'input_ids',
        input: 'input_ids',
        axes: ['textLength'],
        below: c.vocabulary,
        derive: { input: 'pooled_position', from: (ids) => endOfText(ids, c.eos) },
      },
      { kind: 'prefixMask', name: 'attention_mask', input: 'text_length', axes: ['textLength'] },
    ],
    outputs: [
      { kind: 'numbers', name: 'last_hidden_state', output: 'last_hidden_state' },
      { kind: 'numbers', name: 'pooler_output', output: 'pooler_output' },
      ...(c.projected === null ? [] : [{ kind: 'numbers' as const, name: 'text_embeds', output: 'text_embeds' }]),
      ...states,
    ],
    smallest: { textLength: 1 },
  }
}

/**
 * Rows of the token table, or vectors that the prompt brings along (textual inversion). `token_rows` [L] names for each
 * token the row of `[tokens; extra_embeddings]` it is, so that one graph serves every embedding; all are copies.
 *
 * @param extra - E, rows of `extra_embeddings` [E, D]; with 0 there are no such inputs.
 * @returns shape [L, D].
 */
function tokenEmbeddings(embeddings: Scope, c: ClipConfig, ids: Value, extra: number): Value {
  const tokens = embeddingLayer(embeddings.child('token_embedding'), ids, c.vocabulary, c.width) // [L, D]
  if (extra === 0) return tokens
  const rows = input('token_rows', 'prompt', { shape: [ids.shape[0] ?? 0], dtype: 'i32', axes: ['L'] })
  const vectors = input('extra_embeddings', 'prompt', { shape: [extra, c.width], dtype: 'f32', axes: ['L', 'D'] })
  return embedding(embeddings.path, rows, concat(embeddings.path, [tokens, vectors], 0))
}

/** All states of the encoder, `hidden_states` of transformers: the embeddings and what each layer made of them. */
function encode(text: Scope, c: ClipConfig, ids: Value, kvLength: Value, extra: number): Value[] {
  const length = ids.shape[0] ?? 0
  const embeddings = text.child('embeddings')
  const tokens = tokenEmbeddings(embeddings, c, ids, extra) // [L, D]
  const table = sliceRecipe(
    embeddings.child('position_embedding').recipe('weight', [c.positions, c.width]),
    0,
    0,
    length,
  )
  const positions = param(table, [length, c.width], `${embeddings.path}.position_embedding.weight`)
  const states = [add(embeddings.path, tokens, positions)]
  for (let i = 0; i < c.layers; i += 1) {
    const scope = text.child('encoder').child('layers').child(i)
    let x = states[i]
    if (!x) throw new RangeError('every layer has an input')
    const attended = layerNormLayer(scope.child('layer_norm1'), x, { eps: c.eps })
    x = add(
      scope.path,
      x,
      attentionLayer(scope.child('self_attn'), attended, {
        heads: c.heads,
        causal: true,
        kvLength,
        names: PROJECTIONS,
      }),
    )
    const fed = layerNormLayer(scope.child('layer_norm2'), x, { eps: c.eps })
    x = add(
      scope.path,
      x,
      feedForward(scope.child('mlp'), fed, { hidden: c.hidden, activation: c.activation, names: ['fc1', 'fc2'] }),
    )
    states.push(x)
  }
  return states
}

function definition(className: string, projection: boolean): ModelDefinition {
  return {
    className,
    renames: () => [
      { from: /^text_model\.embeddings\.position_ids$/ },
      { from: /^embeddings\.position_ids$/ },
      // transformers 5 may store the encoder without the prefix.
      { from: /^(embeddings|encoder|final_layer_norm)\./, to: 'text_model.$1.' },
      // A full CLIP file has the projection even where the class does not use it.
      ...(projection ? [] : [{ from: /^text_projection\.weight$/ }]),
    ],
    ports: (config, at) => portsOf(parse(config, at, projection)),
    build(config, at, sizes, outputs) {
      const c = parse(config, at, projection)
      const length = sizeOf(sizes, 'textLength', at)
      if (length > c.positions) {
        throw new EngineError(
          'shape-mismatch',
          `${at.component}: input_ids: expected at most ${c.positions} tokens, got ${length}`,
          {
            expected: c.positions,
            got: length,
          },
        )
      }
      const root = rootScope(at.scope)
      const text = root.child('text_model')
      const ids = input('input_ids', 'prompt', { shape: [length], dtype: 'i32', axes: ['L'] })
      const kvLength = input('text_length', 'prompt', { shape: [1], dtype: 'i32', axes: ['_'] })
      const position = input('pooled_position', 'prompt', { shape: [1], dtype: 'i32', axes: ['_'] })
      const states = encode(text, c, ids, kvLength, sizes.extraTokens ? sizeOf(sizes, 'extraTokens', at) : 0)
      const last = states.at(-1)
      if (!last) throw new RangeError('an encoder has states')
      const finalNorm = (x: Value): Value => layerNormLayer(text.child('final_layer_norm'), x, { eps: c.eps })
      const normed = finalNorm(last) // [L, D]
      const pooled = embedding('pooler', position, normed) // [1, D]
      const vector = (x: Value, width: number): Value => reshape('pooler', x, [width], ['D'])
      const made: Record<string, Value> = { last_hidden_state: normed, pooler_output: vector(pooled, c.width) }
      if (c.projected !== null) {
        made.text_embeds = vector(
          linearLayer(root.child('text_projection'), pooled, c.projected, { bias: false }),
          c.projected,
        )
      }
      states.forEach((state, index) => {
        made[`hidden_states.${index}`] = state
        made[`normed_hidden_states.${index}`] = state === last ? normed : finalNorm(state)
      })
      return modelGraph(at.component, portsOf(c), made, outputs)
    },
  }
}

/** The encoder alone. */
export const clipTextModel = definition('CLIPTextModel', false)

/** The encoder and the projection of its pooled vector into the space it shares with pictures. */
export const clipTextModelWithProjection = definition('CLIPTextModelWithProjection', true)
