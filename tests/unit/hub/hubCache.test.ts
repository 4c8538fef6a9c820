/** Where the cache is by the environment, and what an id is. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hubCache, isHubId, parseHubId, resolveCached } from '../../../src/hub/hubCache'

const user = os.homedir()

describe('hubCache', () => {
  it.each<[Readonly<Record<string, string>>, string]>([
    [{}, path.join(user, '.cache', 'huggingface', 'hub')],
    [{ XDG_CACHE_HOME: '/x' }, '/x/huggingface/hub'],
    [{ HF_HOME: '/h', XDG_CACHE_HOME: '/x' }, '/h/hub'],
    [{ HF_HOME: '~/h' }, path.join(user, 'h', 'hub')],
    [{ HF_HOME: '' }, path.join(user, '.cache', 'huggingface', 'hub')],
    [{ HUGGINGFACE_HUB_CACHE: '/old', HF_HOME: '/h' }, '/old'],
    [{ HF_HUB_CACHE: '/c', HUGGINGFACE_HUB_CACHE: '/old' }, '/c'],
  ])('%j', (environment, want) => expect(hubCache(environment)).toBe(want))
})

describe('ids', () => {
  it.each(['owner/name', 'stable-diffusion-v1-5/stable-diffusion-v1-5', 'a/b@main', 'a/b@refs/pr/3', 'a/b_c.d@v1.0'])(
    '%s is one',
    (id) => expect(isHubId(id)).toBe(true),
  )

  it.each([
    'emoji',
    'a/b/c',
    './model',
    '../model',
    'a/',
    '/b',
    'a/..',
    'a--b/c',
    'a/b@',
    'a/b@../x',
    'a/b@c@d',
    'a b/c',
    'a/b.',
  ])('%s is none', (id) => expect(isHubId(id)).toBe(false))

  it('have a revision behind the @, or main', () => {
    expect(parseHubId('a/b')).toEqual({ repo: 'a/b', revision: 'main' })
    expect(parseHubId('a/b@v1')).toEqual({ repo: 'a/b', revision: 'v1' })
    expect(parseHubId('a/b', 'v1')).toEqual({ repo: 'a/b', revision: 'v1' })
    expect(parseHubId('a/b@v1', 'v1')).toEqual({ repo: 'a/b', revision: 'v1' })
  })
})

describe('resolveCached', () => {
  const commit = 'c'.repeat(40)
  let cache = ''
  beforeAll(async () => {
    cache = await mkdtemp(path.join(os.tmpdir(), 'irodori-cache-'))
    const folder = path.join(cache, 'models--a--b')
    await mkdir(path.join(folder, 'snapshots', commit), { recursive: true })
    await mkdir(path.join(folder, 'refs'))
    await writeFile(path.join(folder, 'refs', 'main'), commit)
    await writeFile(path.join(folder, 'refs', 'gone'), 'd'.repeat(40))
    await writeFile(path.join(folder, 'refs', 'strange'), '../../../etc')
  })
  afterAll(() => rm(cache, { recursive: true, force: true }))

  it.each<[string, string | undefined]>([
    ['a/b', commit],
    ['a/b@main', commit],
    [`a/b@${commit}`, commit],
    ['a/b@gone', undefined],
    ['a/b@strange', undefined],
    ['a/b@v1', undefined],
    ['a/c', undefined],
    ['emoji', undefined],
    ['../a', undefined],
  ])('%s', (id, want) => {
    expect(resolveCached(id, { cache })).toBe(want && path.join(cache, 'models--a--b', 'snapshots', want))
  })
})
