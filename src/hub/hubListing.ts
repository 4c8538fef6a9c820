/** What a repository holds: the commit of a revision and its files, asked of the hub through `@huggingface/hub`. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { EngineError, throwIfAborted } from '../errors'
import { type Environment, type HubId, hubHome, isCommit } from './hubCache'

/** Where to ask, and as whom. */
export interface HubAccess {
  /** Without a slash at its end. */
  readonly endpoint: string
  readonly token: string | undefined
}

/** `HF_ENDPOINT`; `HF_TOKEN`, else what `hf auth login` stored. */
export async function hubAccess(environment: Environment = process.env): Promise<HubAccess> {
  const { HF_ENDPOINT: endpoint, HF_TOKEN: token, HF_TOKEN_PATH: file } = environment
  const stored = async () => {
    const text = await readFile(file || path.join(hubHome(environment), 'token'), 'utf8').catch(() => '')
    return text.trim() || undefined
  }
  return {
    endpoint: (endpoint || 'https://huggingface.co').replace(/\/+$/, ''),
    token: token?.trim() || (await stored()),
  }
}

/** Headers that say who asks. */
export function authorization({ token }: HubAccess): Readonly<Record<string, string>> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

/** One file of a commit. */
export interface HubFile {
  /** In the repository, with `/` between folders. */
  readonly path: string
  readonly sizeBytes: number
  readonly hash: FileHash
}

/** What the bytes of a file hash to: sha256 of large files, git's sha1 of the others. It names the blob in the cache. */
export interface FileHash {
  readonly kind: 'sha256' | 'git-sha1'
  readonly hex: string
}

export interface HubListing {
  readonly commit: string
  readonly files: readonly HubFile[]
}

/**
 * Lists the files of a revision.
 *
 * @throws {@link EngineError} `missing-file` when there is no such repository or revision; `io` when the hub cannot be
 * reached, wants a token, or answers with something else.
 */
export async function listRepo(
  { repo, revision }: HubId,
  access: HubAccess,
  signal: AbortSignal | undefined,
): Promise<HubListing> {
  const hub = await import('@huggingface/hub')
  throwIfAborted(signal)
  const { origin } = new URL(access.endpoint)
  // The token goes to the hub alone, wherever the next page of a listing is said to be.
  const ask: typeof fetch = (input, init) => {
    const own = new URL(input instanceof Request ? input.url : input).origin === origin
    const headers = new Headers(init?.headers)
    if (own) for (const [name, value] of Object.entries(authorization(access))) headers.set(name, value)
    return fetch(input, { ...init, headers, signal })
  }
  try {
    const shared = { hubUrl: access.endpoint, fetch: ask }
    const { sha } = await hub.modelInfo({ ...shared, name: repo, revision, additionalFields: ['sha'] })
    if (typeof sha !== 'string' || !isCommit(sha)) {
      throw new EngineError('io', `${repo}: expected the commit of ${revision}, got ${JSON.stringify(sha)}`, { repo })
    }
    const files: HubFile[] = []
    for await (const entry of hub.listFiles({ ...shared, repo, revision: sha, recursive: true })) {
      if (entry.type === 'file') files.push(fileOf(entry, repo))
    }
    return { commit: sha, files }
  } catch (error) {
    throwIfAborted(signal)
    if (error instanceof EngineError) throw error
    const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : undefined
    throw hubError(status, `${repo}@${revision}`, access, error)
  }
}

function fileOf(
  entry: {
    readonly path: string
    readonly size: number
    readonly oid?: string
    readonly lfs?: { readonly oid: string }
  },
  repo: string,
): HubFile {
  const hash: FileHash = entry.lfs ? { kind: 'sha256', hex: entry.lfs.oid } : { kind: 'git-sha1', hex: entry.oid ?? '' }
  const plain = entry.path
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && !/[\\:\0]/.test(part))
  const digits = hash.kind === 'sha256' ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/
  if (!plain || !digits.test(hash.hex) || !Number.isSafeInteger(entry.size) || entry.size < 0) {
    const got = JSON.stringify(entry).slice(0, 200)
    throw new EngineError('io', `${repo}: expected files with a path, a size and a hash, got ${got}`, { repo })
  }
  return { path: entry.path, sizeBytes: entry.size, hash }
}

/** The error for an answer of the hub that is none. */
export function hubError(status: number | undefined, what: string, access: HubAccess, cause: unknown): EngineError {
  const facts = { what, endpoint: access.endpoint, status, cause }
  const said = access.token === undefined ? 'none was given: set HF_TOKEN' : 'the one given (HF_TOKEN) may not read it'
  switch (status) {
    case 401:
    case 403:
      return new EngineError(
        'io',
        `${what}: expected to be let in, got status ${status}: it does not exist, or wants a token or an accepted licence; ${said}`,
        facts,
      )
    case 404:
      return new EngineError(
        'missing-file',
        `${what}: expected it at ${access.endpoint}, got status 404: no such repository, revision or file`,
        facts,
      )
    default: {
      const got = status === undefined ? reasonOf(cause) : `status ${status}`
      return new EngineError('io', `${what}: expected an answer of ${access.endpoint}, got ${got}`, facts)
    }
  }
}

/** What a failed request says of itself; `fetch` hides it in causes. */
export function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error ? reasonOf(cause.cause) : cause.message
}
