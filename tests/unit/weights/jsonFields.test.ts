import { describe, expect, it } from 'vitest'
import { jsonFields, readJson } from '../../../src/weights'
import { failure, scratch } from './scratch'

const disk = scratch()

describe('jsonFields', () => {
  it('reads fields and their defaults', () => {
    const fields = jsonFields({ a: 3, b: 'x', c: null, d: [1, 2], e: true, f: 0.5, _note: 1, g: 1 }, 'config.json')
    expect(fields.integer('a')).toBe(3)
    expect(fields.integer('missing', { default: 4 })).toBe(4)
    expect(fields.oneOf('b', ['x', 'y'])).toBe('x')
    expect(fields.integerOrNull('c', {})).toBe(null)
    expect(fields.integers('d')).toEqual([1, 2])
    expect(fields.boolean('e')).toBe(true)
    expect(fields.booleanOrNull('c', true)).toBe(null)
    expect(fields.number('f')).toBe(0.5)
    expect(fields.numberOrNull('f', {})).toBe(0.5)
    expect(fields.numberOrNull('c', { default: 1 })).toBe(null)
    expect(fields.numberOrNull('missing', { default: null })).toBe(null)
    fields.inert('g')
    fields.end()
  })

  it.each([
    ['a string for an integer', { a: '3' }, 'a'],
    ['a fraction', { a: 1.5 }, 'a'],
    ['below the minimum', { a: 0 }, 'a'],
    ['nothing', {}, 'a'],
    ['null', { a: null }, 'a'],
    ['another word', { a: 1, b: 'z' }, 'b'],
    ['an empty list', { a: 1, b: 'x', d: [] }, 'd'],
    ['a list with text', { a: 1, b: 'x', d: [1, 'two'] }, 'd'],
    ['a value that is not supported', { a: 1, b: 'x', d: [1], fixed: 2 }, 'fixed'],
    ['a field nobody asked for', { a: 1, b: 'x', d: [1], surprise: 1 }, 'surprise'],
  ])('refuses %s, naming file and field', async (_what, value, field) => {
    const error = await failure(() => {
      const fields = jsonFields(value, 'unet/config.json')
      fields.integer('a', { min: 1 })
      fields.oneOf('b', ['x', 'y'])
      fields.integers('d')
      fields.only('fixed', 1, null)
      fields.end()
    })
    expect(error).toMatchObject({ code: 'invalid-config', context: { file: 'unet/config.json', field } })
    expect(error.message).toMatch(/^unet\/config\.json: .*expected .*, got /)
  })

  it('reads lists of objects, each with a place of its own', async () => {
    const fields = jsonFields({ list: [{ a: 1 }, { a: 'x' }], none: [], one: {}, bad: [{}, 2] }, 'irodori.json')
    const [first, second] = fields.objects('list')
    expect(first?.integer('a')).toBe(1)
    expect((await failure(() => second?.integer('a'))).message).toMatch(/^irodori.json: list\[1\]: a: expected an int/)
    expect(fields.objects('none')).toEqual([])
    expect((await failure(() => fields.objects('one'))).message).toBe(
      'irodori.json: one: expected a list of objects, got {}',
    )
    expect((await failure(() => fields.objects('bad'))).message).toBe(
      'irodori.json: bad[1]: expected a JSON object, got 2',
    )
    expect(await failure(() => fields.objects('missing'))).toMatchObject({ code: 'invalid-config' })
    fields.end()
  })

  it.each([[null], [[1]], ['text'], [undefined]])('refuses %j as an object', async (value) => {
    expect(await failure(() => jsonFields(value, 'x.json'))).toMatchObject({ code: 'invalid-config' })
  })
})

describe('readJson', () => {
  it('tells missing, unreadable and broken files apart', async () => {
    expect(await failure(() => readJson(`${disk.folder}/no.json`))).toMatchObject({ code: 'missing-file' })
    expect(await failure(() => readJson(disk.folder))).toMatchObject({ code: 'io' })
    expect(await failure(() => readJson(disk.write('nan.json', '{"eps": NaN}')))).toMatchObject({
      code: 'invalid-config',
    })
    expect(await readJson(disk.write('good.json', '{"eps": 1}'))).toEqual({ eps: 1 })
  })
})
