/** A server that behaves like the hub, and another that its large files are redirected to; both can misbehave on demand. */

import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export const COMMIT = 'a'.repeat(40)
export const REPO = 'owner/name'

/** What was asked, in order. */
export interface Asked {
  readonly server: 'hub' | 'cdn'
  readonly url: string
  readonly range: string | undefined
  readonly authorization: string | undefined
  /** Bytes of the answer that were sent. */
  sent: number
}

/** Misbehaviour, by path of the file. */
export interface Mischief {
  /** Connections to cut, each after so many bytes. */
  readonly cut?: number[]
  /** Instead of cutting, say nothing more. */
  readonly silent?: boolean
  /** Statuses to answer with first. */
  readonly statuses?: number[]
  /** Send other bytes than the listing says. */
  corrupt?: boolean
  /** Send more bytes than the listing says. */
  readonly longer?: boolean
  readonly ignoreRange?: boolean
  /** Wait between pieces of 64 KiB. */
  readonly pauseMs?: number
}

export interface FakeHub {
  readonly endpoint: string
  readonly asked: Asked[]
  /** May be changed between requests. */
  readonly files: Map<string, Buffer>
  readonly mischief: Map<string, Mischief>
  /** Required of whoever asks. */
  token: string | undefined
  close(): Promise<void>
}

/** Files of at least this size are large ones: hashed by sha256 and kept elsewhere. */
const LARGE_BYTES = 1000
const PIECE_BYTES = 65_536
/** Entries of a page of a listing. */
const PAGE = 3

export const gitHash = (content: Buffer): string =>
  createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex')
export const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex')
export const blobName = (content: Buffer): string => (content.length < LARGE_BYTES ? gitHash(content) : sha256(content))

/** Bytes that no two places share. */
export function bytes(count: number, seed = 1): Buffer {
  let state = seed
  return Buffer.from(
    Uint8Array.from({ length: count }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return state >>> 24
    }),
  )
}

/** Starts both servers on free ports. */
export async function startFakeHub(files: Readonly<Record<string, Buffer | string>>): Promise<FakeHub> {
  const asked: Asked[] = []
  const contents = new Map(Object.entries(files).map(([name, content]) => [name, Buffer.from(content)]))
  const mischief = new Map<string, Mischief>()
  const state = { token: undefined as string | undefined, endpoint: '' }
  const note = (server: 'hub' | 'cdn', { url = '', headers }: IncomingMessage): Asked => {
    const entry = { server, url, range: headers.range, authorization: headers.authorization, sent: 0 }
    asked.push(entry)
    return entry
  }

  const cdn = createServer((request, response) => {
    const entry = note('cdn', request)
    const name = decodeURIComponent(entry.url.slice(1))
    void send(request, response, contents.get(name), mischief.get(name) ?? {}, entry)
  })
  const cdnUrl = await listen(cdn)

  const hub = createServer((request, response) => {
    const entry = note('hub', request)
    const url = new URL(entry.url, 'http://hub')
    const answer = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    }
    if (state.token !== undefined && entry.authorization !== `Bearer ${state.token}`) {
      return answer(401, { error: 'Invalid username or password.' })
    }
    const known = [COMMIT, 'main', 'v1', 'refs/pr/1']
    const info = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(url.pathname)
    if (info) {
      const fits = info[1] === REPO && known.includes(decodeURIComponent(info[2] ?? ''))
      return fits
        ? answer(200, { _id: '1', id: REPO, sha: COMMIT, lastModified: '2026-01-01T00:00:00.000Z' })
        : answer(404, { error: 'Repository or revision not found' })
    }
    if (url.pathname === `/api/models/${REPO}/tree/${COMMIT}`) {
      const start = Number(url.searchParams.get('cursor') ?? 0)
      const entries = [...contents].map(([name, content]) => ({
        type: 'file',
        path: name,
        size: content.length,
        oid: gitHash(content),
        ...(content.length < LARGE_BYTES
          ? {}
          : { lfs: { oid: sha256(content), size: content.length, pointerSize: 130 } }),
      }))
      const all = [{ type: 'directory', path: 'unet', size: 0, oid: 'b'.repeat(40) }, ...entries]
      url.searchParams.set('cursor', String(start + PAGE))
      const next = `<${state.endpoint}${url.pathname}?${url.searchParams}>; rel="next"`
      return answer(200, all.slice(start, start + PAGE), start + PAGE < all.length ? { link: next } : {})
    }
    const prefix = `/${REPO}/resolve/${COMMIT}/`
    const name = url.pathname.startsWith(prefix) ? decodeURIComponent(url.pathname.slice(prefix.length)) : undefined
    const content = name === undefined ? undefined : contents.get(name)
    if (name === undefined || content === undefined) return answer(404, { error: 'Entry not found' })
    const own = mischief.get(name) ?? {}
    const status = own.statuses?.shift()
    if (status !== undefined) return answer(status, { error: 'as told' })
    if (content.length < LARGE_BYTES) return void send(request, response, content, own, entry)
    response
      .writeHead(302, {
        location: `${cdnUrl}/${encodeURIComponent(name)}`,
        'x-linked-etag': `"${sha256(content)}"`,
        'x-linked-size': String(content.length),
        'x-repo-commit': COMMIT,
      })
      .end()
  })
  state.endpoint = await listen(hub)
  return {
    endpoint: state.endpoint,
    asked,
    files: contents,
    mischief,
    get token() {
      return state.token
    },
    set token(token: string | undefined) {
      state.token = token
    },
    async close() {
      await Promise.all([hub, cdn].map((server) => stop(server)))
    },
  }
}

/** Sends a file or the part asked for, piece by piece. */
async function send(
  request: IncomingMessage,
  response: ServerResponse,
  content: Buffer | undefined,
  { cut, silent, corrupt, longer, ignoreRange, pauseMs }: Mischief,
  entry: Asked,
): Promise<void> {
  if (content === undefined) {
    response.writeHead(404).end()
    return
  }
  const [, first] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
  const start = first === undefined || ignoreRange ? 0 : Number(first)
  const body = Buffer.concat([content.subarray(start), Buffer.alloc(longer ? 10 : 0)])
  if (corrupt) body[body.length - 1] = (body.at(-1) ?? 0) ^ 1
  const limit = cut?.shift()
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': body.length,
    etag: `"${blobName(content)}"`,
    ...(start > 0 ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
  })
  const end = Math.min(limit ?? body.length, body.length)
  for (let at = 0; at < end; at += PIECE_BYTES) {
    const piece = body.subarray(at, Math.min(at + PIECE_BYTES, end))
    await new Promise<void>((resolve) => response.write(piece, () => resolve()))
    entry.sent += piece.length
    if (pauseMs) await sleep(pauseMs)
  }
  if (end === body.length) response.end()
  else if (!silent) response.destroy()
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
