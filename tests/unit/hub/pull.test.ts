/** Pulling from a server that behaves like the hub: the standard cache, resumed transfers, checked hashes, plain errors. */

import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { resolveCached } from '../../../src/hub/hubCache'
import { type PullOptions, type PullProgress, pull } from '../../../src/hub/pull'
import { blobName, bytes, COMMIT, type FakeHub, gitHash, REPO, sha256, startFakeHub } from './fakeHub'

const big = bytes(300_000)
const index = JSON.stringify({
  _class_name: 'StableDiffusionPipeline',
  unet: ['diffusers', 'UNet2DConditionModel'],
  tokenizer: ['transformers', 'CLIPTokenizer'],
  safety_checker: ['stable_diffusion', 'StableDiffusionSafetyChecker'],
  image_encoder: [null, null],
})
const FILES = {
  'README.md': 'read me',
  'model_index.json': index,
  'v1-5-pruned.safetensors': bytes(2000, 9),
  'unet/config.json': '{}',
  'unet/diffusion_pytorch_model.safetensors': big,
  'unet/diffusion_pytorch_model.fp16.safetensors': bytes(1500, 2),
  'unet/diffusion_pytorch_model.bin': bytes(1200, 3),
  'tokenizer/vocab.json': '{"a":1}',
  'tokenizer/merges.txt': 'a b\n',
  'safety_checker/config.json': '{"a":0}',
  'safety_checker/model.safetensors': bytes(1300, 4),
  'other/config.json': '{}',
}
const UNET = 'unet/diffusion_pytorch_model.safetensors'

let hub: FakeHub
let home = ''
beforeEach(async () => {
  hub = await startFakeHub(FILES)
  home = await mkdtemp(path.join(os.tmpdir(), 'irodori-hub-'))
})
afterEach(async () => {
  await hub.close()
  await rm(home, { recursive: true, force: true })
})

const cache = () => path.join(home, 'hub')
const repo = (...parts: string[]) => path.join(cache(), 'models--owner--name', ...parts)
const environment = () => ({ HF_HOME: home, HF_ENDPOINT: hub.endpoint })
const get = (options: PullOptions = {}, id: string = REPO) =>
  pull(id, { environment: environment(), retryMs: 1, ...options })
const blobs = () => (existsSync(repo('blobs')) ? readdirSync(repo('blobs')).sort() : [])
const sentOf = (file: string) =>
  hub.asked.filter(({ server, url }) => server === 'cdn' && url === `/${encodeURIComponent(file)}`)

describe('pull', () => {
  it('brings what a pipeline needs into the standard layout', async () => {
    const result = await get()
    expect(result).toMatchObject({ repo: REPO, revision: 'main', commit: COMMIT, folder: repo('snapshots', COMMIT) })
    const paths = result.files.map((file) => file.path).sort()
    expect(paths).toEqual([
      'model_index.json',
      'safety_checker/config.json',
      'tokenizer/merges.txt',
      'tokenizer/vocab.json',
      'unet/config.json',
      UNET,
    ])
    expect(result.files.every(({ cached }) => !cached)).toBe(true)
    for (const { path: name } of result.files) {
      const content = hub.files.get(name) ?? Buffer.alloc(0)
      const pointer = path.join(result.folder, name)
      expect(sha256(readFileSync(pointer))).toBe(sha256(content))
      expect(lstatSync(pointer).isSymbolicLink()).toBe(true)
      expect(readlinkSync(pointer)).toBe(path.relative(path.dirname(pointer), repo('blobs', blobName(content))))
    }
    expect(readFileSync(repo('refs', 'main'), 'utf8')).toBe(COMMIT)
    expect(blobs()).toEqual([...new Set(paths.map((name) => blobName(hub.files.get(name) ?? Buffer.alloc(0))))].sort())
    expect(readdirSync(path.join(cache(), '.locks', 'models--owner--name'))).toEqual([])
    expect(result.receivedBytes).toBe(paths.reduce((sum, name) => sum + (hub.files.get(name)?.length ?? 0), 0))
    expect(resolveCached(REPO, { cache: cache() })).toBe(result.folder)
    expect(resolveCached(`${REPO}@${COMMIT}`, { cache: cache() })).toBe(result.folder)
    expect(resolveCached(`${REPO}@v1`, { cache: cache() })).toBeUndefined()
  })

  it('brings nothing twice', async () => {
    await get()
    const before = hub.asked.length
    const again = await get()
    expect(again.files.every(({ cached }) => cached)).toBe(true)
    expect(again.receivedBytes).toBe(0)
    expect(hub.asked.slice(before).every(({ url }) => url.startsWith('/api/'))).toBe(true)
  })

  it('takes a tag, a commit, a variant, or exactly the files asked for', async () => {
    expect((await get({ revision: 'v1' })).revision).toBe('v1')
    expect(readFileSync(repo('refs', 'v1'), 'utf8')).toBe(COMMIT)
    const nested = await get({}, `${REPO}@refs/pr/1`)
    expect(readFileSync(repo('refs', 'refs', 'pr', '1'), 'utf8')).toBe(COMMIT)
    expect(nested.commit).toBe(COMMIT)
    await get({}, `${REPO}@${COMMIT}`)
    expect(existsSync(repo('refs', COMMIT))).toBe(false)
    const half = await get({ variant: 'fp16' })
    expect(half.files.map((file) => file.path)).toContain('unet/diffusion_pytorch_model.fp16.safetensors')
    expect(half.files.map((file) => file.path)).not.toContain(UNET)
    const some = await get({ include: ['*.fp16.safetensors', 'README.??'] })
    expect(some.files.map((file) => file.path).sort()).toEqual([
      'README.md',
      'unet/diffusion_pytorch_model.fp16.safetensors',
    ])
  })

  it('tells how far it is, up to the end', async () => {
    const news: PullProgress[] = []
    await get({ onProgress: (progress) => news.push(progress) })
    const total = news[0]?.totalBytes ?? 0
    expect(news.every(({ totalBytes, doneBytes }) => totalBytes === total && doneBytes <= total)).toBe(true)
    expect(news.at(-1)?.doneBytes).toBe(total)
    expect(news.filter(({ file }) => file === UNET).length).toBeGreaterThan(2)
    const order = news.map(({ doneBytes }) => doneBytes)
    expect(order).toEqual([...order].sort((a, b) => a - b))
  })

  it('gives the token to the hub and to nobody else', async () => {
    hub.token = 'secret'
    await get({ environment: { ...environment(), HF_TOKEN: 'secret' } })
    for (const { server, authorization } of hub.asked) {
      expect(authorization).toBe(server === 'hub' ? 'Bearer secret' : undefined)
    }
    await rm(cache(), { recursive: true })
    await writeFile(path.join(home, 'token'), 'secret\n')
    await expect(get()).resolves.toMatchObject({ commit: COMMIT })
  })
})

describe('a transfer', () => {
  it('that is cut goes on where it was, in the same call', async () => {
    hub.mischief.set(UNET, { cut: [100_000, 50_000, 0, 0] })
    const { folder, receivedBytes } = await get({ include: [UNET] })
    expect(sha256(readFileSync(path.join(folder, UNET)))).toBe(sha256(big))
    expect(receivedBytes).toBe(big.length)
    const ranges = sentOf(UNET).map(({ range }) => Number(/\d+/.exec(range ?? '0')?.[0]))
    expect(ranges).toHaveLength(5)
    expect(ranges[0]).toBe(0)
    expect(ranges[1]).toBeGreaterThan(0)
    expect(ranges[1]).toBeLessThanOrEqual(100_000)
    expect(ranges.at(-1)).toBeLessThanOrEqual(150_000)
    expect(blobs()).toEqual([sha256(big)])
  })

  it('that fails for good is taken up by the next call', async () => {
    const cut = [150_000, 0, 0, 0, 0, 0]
    hub.mischief.set(UNET, { cut })
    const error = await get({ include: [UNET] }).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'io' })
    expect(String(error)).toMatch(
      /name: unet\/\S+: expected 300000 bytes, got \d+ and then .*, 5 times; what there is is kept/,
    )
    expect(blobs()).toEqual([`${sha256(big)}.incomplete`])
    expect(existsSync(repo('refs', 'main'))).toBe(false)
    const there = lstatSync(repo('blobs', `${sha256(big)}.incomplete`)).size
    expect(there).toBeGreaterThan(0)
    hub.mischief.clear()
    const { receivedBytes, folder } = await get({ include: [UNET] })
    expect(receivedBytes).toBe(big.length - there)
    expect(sentOf(UNET).at(-1)?.range).toBe(`bytes=${there}-`)
    expect(sha256(readFileSync(path.join(folder, UNET)))).toBe(sha256(big))
  })

  it('starts anew where the server knows no ranges', async () => {
    hub.mischief.set(UNET, { cut: [100_000], ignoreRange: true })
    const { folder } = await get({ include: [UNET] })
    expect(sha256(readFileSync(path.join(folder, UNET)))).toBe(sha256(big))
    expect(sentOf(UNET)).toHaveLength(2)
  })

  it('does not wait for a server that has fallen silent', async () => {
    hub.mischief.set(UNET, { cut: [100_000, 0], silent: true })
    const { receivedBytes } = await get({ include: [UNET], silenceMs: 300 })
    expect(receivedBytes).toBe(big.length)
    expect(sentOf(UNET).length).toBe(3)
    hub.mischief.set('README.md', { cut: [0, 0, 0, 0, 0], silent: true })
    await expect(get({ include: ['README.md'], silenceMs: 50 })).rejects.toThrow(
      /got 0 and then silence for 50 ms, 5 times/,
    )
  })

  it('waits out a server that is busy', async () => {
    hub.mischief.set(UNET, { statuses: [503, 429, 500] })
    await expect(get({ include: [UNET] })).resolves.toMatchObject({ receivedBytes: big.length })
  })

  it.each([
    ['a large file', UNET, /expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}: what was sent is not kept/],
    ['a small file', 'tokenizer/vocab.json', /expected git-sha1 [0-9a-f]{40}, got [0-9a-f]{40}/],
  ])('that brings other bytes than promised is refused: %s', async (_, file, message) => {
    hub.mischief.set(file, { corrupt: true })
    await expect(get({ include: [file] })).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(message),
    })
    expect(blobs()).toEqual([])
    expect(existsSync(repo('snapshots', COMMIT, file))).toBe(false)
    expect(resolveCached(REPO, { cache: cache() })).toBeUndefined()
    hub.mischief.clear()
    await expect(get({ include: [file] })).resolves.toMatchObject({ commit: COMMIT })
  })

  it('that brings more bytes than promised is refused', async () => {
    hub.mischief.set(UNET, { longer: true })
    await expect(get({ include: [UNET] })).rejects.toThrow(/expected 300000 bytes, got more/)
  })

  it('does not trust what an earlier one left', async () => {
    await mkdir(repo('blobs'), { recursive: true })
    const partial = repo('blobs', `${sha256(big)}.incomplete`)
    await writeFile(partial, Buffer.alloc(200_000))
    const { folder, receivedBytes } = await get({ include: [UNET] })
    expect(sha256(readFileSync(path.join(folder, UNET)))).toBe(sha256(big))
    expect(receivedBytes).toBe(100_000 + big.length)
    await rm(repo(), { recursive: true })
    await mkdir(repo('blobs'), { recursive: true })
    await writeFile(partial, Buffer.alloc(big.length + 5)) // longer than the file can be
    expect((await get({ include: [UNET] })).receivedBytes).toBe(big.length)
  })

  it('needs no network when all of it was left', async () => {
    await mkdir(repo('blobs'), { recursive: true })
    await writeFile(repo('blobs', `${sha256(big)}.incomplete`), big)
    expect((await get({ include: [UNET] })).receivedBytes).toBe(0)
    expect(sentOf(UNET)).toHaveLength(0)
  })

  it('stops for a signal and keeps what there is', async () => {
    hub.mischief.set(UNET, { pauseMs: 30 })
    const controller = new AbortController()
    const reason = new Error('enough')
    const pulled = get({
      include: [UNET],
      signal: controller.signal,
      onProgress: ({ doneBytes }) => doneBytes > 100_000 && controller.abort(reason),
    })
    await expect(pulled).rejects.toMatchObject({ code: 'ABORT_ERR', cause: reason })
    expect(blobs()).toEqual([`${sha256(big)}.incomplete`])
    expect(readdirSync(path.join(cache(), '.locks', 'models--owner--name'))).toEqual([])
    hub.mischief.clear()
    expect((await get({ include: [UNET] })).receivedBytes).toBeLessThanOrEqual(200_000)
    await expect(get({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })
})

describe('two at once', () => {
  it('share one transfer', async () => {
    hub.mischief.set(UNET, { pauseMs: 20 })
    const both = await Promise.all([get({ include: [UNET] }), get({ include: [UNET] })])
    expect(both.map(({ receivedBytes }) => receivedBytes).sort((a, b) => a - b)).toEqual([0, big.length])
    expect(sentOf(UNET)).toHaveLength(1)
    for (const { folder } of both) expect(sha256(readFileSync(path.join(folder, UNET)))).toBe(sha256(big))
  })

  it('a lock whose process has ended is taken', async () => {
    const locks = path.join(cache(), '.locks', 'models--owner--name')
    await mkdir(locks, { recursive: true })
    const lock = path.join(locks, `${sha256(big)}.irodori`)
    await writeFile(lock, `${os.hostname()} ${2 ** 22 + 1}\n`) // beyond the largest process id of Linux
    await utimes(lock, new Date(), new Date())
    await expect(get({ include: [UNET] })).resolves.toMatchObject({ receivedBytes: big.length })
    expect(readdirSync(locks)).toEqual([])
  })

  it('waiting for a lock ends with the signal', async () => {
    const locks = path.join(cache(), '.locks', 'models--owner--name')
    await mkdir(locks, { recursive: true })
    await writeFile(path.join(locks, `${sha256(big)}.irodori`), `${os.hostname()} ${process.pid}\n`)
    const pulled = get({ include: [UNET], signal: AbortSignal.timeout(300) })
    await expect(pulled).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })
})

describe('errors', () => {
  it.each<[string, string, PullOptions, string, RegExp]>([
    ['another repository', 'owner/other', {}, 'missing-file', /owner\/other@main: expected it at http.*status 404/],
    ['another revision', REPO, { revision: 'nope' }, 'missing-file', /owner\/name@nope.*no such repository, revision/],
    ['no id', 'emoji', {}, 'invalid-argument', /expected owner\/name or owner\/name@revision, got "emoji"/],
    ['a path', '../../etc/passwd', {}, 'invalid-argument', /expected owner\/name/],
    ['two revisions', `${REPO}@v1`, { revision: 'main' }, 'invalid-argument', /expected one revision/],
    ['a revision that leads out', REPO, { revision: '../../x' }, 'invalid-option', /expected a branch, tag or commit/],
    ['a pattern of nothing', REPO, { include: ['*.gguf'] }, 'missing-file', /include: expected a pattern of files/],
    ['a variant of nothing', REPO, { variant: 'bf16' }, 'invalid-option', /variant: expected one that .* has \(fp16\)/],
  ])('%s', async (_, id, options, code, message) => {
    await expect(get(options, id)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('says what to do about a token that lacks, or is not enough', async () => {
    hub.token = 'secret'
    await expect(get()).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/status 401: .*wants a token.*none was given: set HF_TOKEN/),
      context: expect.objectContaining({ status: 401 }),
    })
    const wrong = get({ environment: { ...environment(), HF_TOKEN: 'other' } })
    await expect(wrong).rejects.toThrow(/the one given \(HF_TOKEN\) may not read it/)
    hub.token = undefined
    hub.mischief.set(UNET, { statuses: [403] })
    await expect(get()).rejects.toThrow(/name: unet\/diffusion_pytorch_model\.safetensors: .*status 403.*licence/)
  })

  it('says why nobody answers', async () => {
    await hub.close()
    await expect(get()).rejects.toMatchObject({ code: 'io', message: expect.stringMatching(/got .*ECONNREFUSED/) })
  })

  it('refuses files whose names lead out of the snapshot', async () => {
    hub.files.set('../../../evil.json', Buffer.from('{}'))
    await expect(get()).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/expected files with a path/),
    })
    expect(gitHash(Buffer.from('{}'))).toMatch(/^[0-9a-f]{40}$/)
  })
})
