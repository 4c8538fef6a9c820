/** CLIP's text encoder with room for vectors of textual inversion: one graph for all of them, none where there is no room. */

import { describe, expect, it } from 'vitest'
import { graphInputs } from '../../../src/graph/graph'
import { modelDefinition, neededTensors, type Sizes } from '../../../src/models'

const config = { hidden_size: 8, num_attention_heads: 2, num_hidden_layers: 1, intermediate_size: 8, vocab_size: 20 }
const place = { component: 'text_encoder' }
const build = (sizes: Sizes) => modelDefinition('CLIPTextModel', config).build(config, place, sizes)
const inputsOf = (sizes: Sizes) =>
  Object.fromEntries(graphInputs(build(sizes).graph).map(({ at, shape, dtype }) => [at, { shape, dtype }]))

describe('extraTokens', () => {
  it('are two more inputs over the same tensors', () => {
    const plain = inputsOf({ textLength: 7 })
    expect(Object.keys(plain).sort()).toEqual(['input_ids', 'pooled_position', 'text_length'])
    expect(inputsOf({ textLength: 7, extraTokens: 3 })).toEqual({
      ...plain,
      token_rows: { shape: [7], dtype: 'i32' },
      extra_embeddings: { shape: [3, 8], dtype: 'f32' },
    })
    const tensors = [build({ textLength: 7 }), build({ textLength: 7, extraTokens: 3 })]
    const [without, room] = tensors.map(({ graph }) => neededTensors(graph))
    expect(room).toEqual(without)
  })

  it('of none are the graph without', () => {
    expect(inputsOf({ textLength: 7, extraTokens: 0 })).toEqual(inputsOf({ textLength: 7 }))
  })

  it('are whole numbers', () => {
    const build = () => inputsOf({ textLength: 7, extraTokens: 1.5 })
    expect(build).toThrow(/text_encoder: extraTokens: expected a whole positive size, got 1.5/)
  })
})
