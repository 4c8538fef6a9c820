/** What a model was made of, as people read it. */

import { expect, it } from 'vitest'
import { describeProvenance } from '../../../src/cli/describeProvenance'

it('has a line for all that is known', () => {
  const lines = describeProvenance({
    sources: [
      { kind: 'pictures', name: 'own photographs', licence: 'CC0-1.0', count: 1800 },
      { kind: 'weights', licence: 'MIT' },
    ],
    training: { hours: 1.5, processor: 'two cores', dollars: 0.15, dollarsPerHour: 0.1, steps: 2120, flops: 2.5e15 },
    scores: [
      { measure: 'top-1', value: 0.953, of: 'labels', language: 'en', steps: 8, count: 1339 },
      { measure: 'copies', value: 0.02 },
    ],
    limits: { en: 'Single things.', ja: '一つだけ。' },
    cards: { en: __filename, ja: '/nowhere/card.ja.md' },
  })
  expect(lines).toEqual([
    'made from  number  licence  name',
    'pictures   1,800   CC0-1.0  own photographs',
    'weights    -       MIT      -',
    '',
    'training: 1.5 hours on two cores; $0.15 at $0.1 an hour; 2,120 steps; 2.50 PFLOP',
    '',
    'score   value  of      language  steps  drawings',
    'top-1   0.953  labels  en        8      1,339',
    'copies  0.02   -       -         -      -',
    '',
    'limits (en): Single things.',
    'limits (ja): 一つだけ。',
    '',
    `card (en): ${__filename}`,
    'card (ja): /nowhere/card.ja.md (not there)',
  ])
})

it('is silent of what is not known', () => {
  const lines = describeProvenance({ sources: [], training: { hours: 2 }, scores: [], limits: {}, cards: {} })
  expect(lines).toEqual(['made from  number  licence  name', '', 'training: 2 hours'])
})
