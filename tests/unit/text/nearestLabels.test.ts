/** Labels are found by exact caption, spelling, shared words and slips of the pen, and strangers are far. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { editDistance, suggest } from '../../../src/text/editDistance'
import { type Label, readLabels } from '../../../src/text/labels'
import { FAR_SIMILARITY, indexLabels, languageOf, normalise } from '../../../src/text/nearestLabels'

const label = (emoji: string, en: string[], ja: string[]): Label => ({ emoji, captions: { en, ja } })
const labels = [
  label('🚀', ['rocket', 'a rocket', 'space'], ['ロケット', '宇宙']),
  label('🍎', ['red apple', 'apple', 'fruit'], ['赤リンゴ', '赤いりんご', '林檎']),
  label('🍏', ['green apple', 'fruit'], ['青リンゴ', '青りんご']),
  label('🍣', ['sushi', 'nigiri'], ['すし', '寿司']),
  label('😺', ['grinning cat', 'happy cat'], ['にっこり笑う猫', '嬉しい猫']),
  label('🐈‍⬛', ['black cat'], ['黒猫']),
  label('🦒', ['giraffe'], ['キリン']),
]

describe('nearest labels', () => {
  it.each([
    ['a rocket', 'rocket'],
    ['Rockets', 'rocket'],
    ['rockit', 'rocket'],
    ['🚀', 'rocket'],
    ['the green apple', 'green apple'],
    ['a happy cat', 'grinning cat'],
    ['赤いリンゴ', '赤リンゴ'],
    ['寿司', 'すし'],
    ['スシ', 'すし'],
    ['キリンが木を食べる', 'キリン'],
  ])('%s is near %s', async (prompt, name) => {
    expect((await indexLabels(labels)).nearest(prompt).nearest[0]).toBe(name)
  })

  it('gives every trained caption the similarity 1', async () => {
    const index = await indexLabels(labels)
    for (const caption of labels.flatMap(({ captions }) => [...(captions.en ?? []), ...(captions.ja ?? [])])) {
      expect(index.nearest(caption).similarity, caption).toBe(1)
    }
  })

  it.each(['quantum chromodynamics', 'the stock market crash of 1929', '総理大臣の記者会見', 'xyzzy'])(
    '%s is far from everything',
    async (prompt) => {
      expect((await indexLabels(labels)).nearest(prompt).similarity).toBeLessThan(FAR_SIMILARITY)
    },
  )

  it('names labels in the language of the prompt', async () => {
    const index = await indexLabels(labels)
    expect(index.nearest('apple in space').nearest).toEqual(expect.arrayContaining(['red apple', 'rocket']))
    expect(index.nearest('宇宙の猫').nearest).toEqual(expect.arrayContaining(['ロケット', '黒猫']))
  })

  it('says nothing of what has no words, and takes the longest prompt in stride', async () => {
    const index = await indexLabels(labels)
    expect(index.nearest('!!!')).toEqual({ similarity: 0, nearest: [] })
    const words = Array.from({ length: 3000 }, (_, i) => `word${i}`).join(' ')
    expect(index.nearest(words).similarity).toBe(0)
  })

  it('compares text without case, width or kind of kana', () => {
    expect(normalise('  ＡＢＣ　リンゴ❤️ ')).toBe('abc りんご❤')
    expect([languageOf('寿司'), languageOf('ロケット'), languageOf('sushi')]).toEqual(['ja', 'ja', 'en'])
  })
})

describe('labels file', () => {
  it('is read, and refused when it has another form', async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-labels-'))
    const file = path.join(folder, 'labels.json')
    await writeFile(
      file,
      JSON.stringify({ items: [{ emoji: '🚀', en: ['rocket'], ja: ['ロケット'] }, { en: ['cup'] }] }),
    )
    expect(await readLabels(file)).toEqual([label('🚀', ['rocket'], ['ロケット']), { captions: { en: ['cup'] } }])
    for (const text of ['{', 'null', '[]', '{"items":[{"en":[],"ja":["ロケット"]}]}', '{"items":[{"emoji":"🚀"}]}']) {
      await writeFile(file, text)
      await expect(readLabels(file)).rejects.toMatchObject({ code: 'invalid-config' })
    }
    await rm(folder, { recursive: true })
    await expect(readLabels(file)).rejects.toMatchObject({ code: 'missing-file' })
  })
})

describe('edit distance', () => {
  it.each([
    ['', 'abc', 3],
    ['steps', 'steps', 0],
    ['stpes', 'steps', 1],
    ['step', 'steps', 1],
    ['guidence', 'guidance', 1],
    ['kitten', 'sitting', 3],
  ])('%s to %s is %i', (a, b, want) => {
    expect(editDistance(a, b)).toBe(want)
    expect(editDistance(b, a)).toBe(want)
  })

  it('suggests what is near and nothing else', () => {
    expect(suggest('Stpes', ['seed', 'steps', 'size'])).toBe('steps')
    expect(suggest('banana', ['seed', 'steps', 'size'])).toBeUndefined()
  })
})
