/**
 * The cache that Hugging Face's tools share: where it is, and what of it is complete.
 *
 * A repository is a folder `models--owner--name` with `blobs/` named by their hash, `snapshots/<commit>/` of links to them,
 * and `refs/<revision>` that say which commit a branch or tag is.
 */

import { existsSync, readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { EngineError } from '../errors'

/** Environment variables, or the like. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A repository of models and what is wanted of its history. */
export interface HubId {
  /** `owner/name`. */
  readonly repo: string
  /** Branch, tag or commit. */
  readonly revision: string
}

const COMMIT = /^[0-9a-f]{40}$/

/** Whether a revision is a commit, which never changes what it stands for. */
export function isCommit(revision: string): boolean {
  return COMMIT.test(revision)
}

/** Whether a text has the form of a repository's id: `owner/name` or `owner/name@revision`. */
export function isHubId(text: string): boolean {
  const [repo = '', revision = 'main', ...rest] = text.split('@')
  return rest.length === 0 && isRepo(repo) && isRevision(revision)
}

function isRepo(text: string): boolean {
  const parts = text.split('/')
  return (
    parts.length === 2 && parts.every((part) => /^[A-Za-z0-9_](?:[\w.-]{0,94}\w)?$/.test(part) && !/--|\.\./.test(part))
  )
}

/** Git's rule, narrowed: nothing that is no file name under `refs/`. */
function isRevision(text: string): boolean {
  return /^[\w.-]+(?:\/[\w.-]+)*$/.test(text) && text.split('/').every((part) => !/^\.|\.\.|\.lock$/.test(part))
}

/**
 * Takes an id apart.
 *
 * @param revision - instead of the one behind the `@`. @defaultValue `'main'`
 * @throws {@link EngineError} `invalid-argument` for what is no id, or says two revisions.
 */
export function parseHubId(id: string, revision?: string): HubId {
  if (isHubId(id)) {
    const [repo = '', own] = id.split('@')
    if (own !== undefined && revision !== undefined && own !== revision) {
      throw new EngineError('invalid-argument', `${id}: expected one revision, got ${revision} too`, { id, revision })
    }
    const asked = revision ?? own ?? 'main'
    if (isRevision(asked)) return { repo, revision: asked }
    throw new EngineError(
      'invalid-option',
      `revision: expected a branch, tag or commit, got ${JSON.stringify(asked)}`,
      {
        option: 'revision',
        got: asked,
      },
    )
  }
  const message = `model: expected owner/name or owner/name@revision, got ${JSON.stringify(id)}`
  throw new EngineError('invalid-argument', message, { id })
}

/** Folder of Hugging Face's settings and cache: `HF_HOME`, else in the user's cache. */
export function hubHome(environment: Environment = process.env): string {
  const { HF_HOME: home, XDG_CACHE_HOME: xdg } = environment
  return expand(home) ?? path.join(expand(xdg) ?? path.join(os.homedir(), '.cache'), 'huggingface')
}

/** The cache: `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, or `hub` in {@link hubHome}. */
export function hubCache(environment: Environment = process.env): string {
  const { HF_HUB_CACHE: cache, HUGGINGFACE_HUB_CACHE: former } = environment
  return expand(cache) ?? expand(former) ?? path.join(hubHome(environment), 'hub')
}

/** A path whose `~` is the user's folder; `undefined` for none or an empty one. */
function expand(folder: string | undefined): string | undefined {
  if (folder === undefined || folder === '') return undefined
  return folder === '~' || folder.startsWith('~/') ? path.join(os.homedir(), folder.slice(1)) : path.resolve(folder)
}

/** Folder of a repository in a cache. */
export function repoFolder(cache: string, repo: string): string {
  return path.join(cache, `models--${repo.replace('/', '--')}`)
}

/**
 * The snapshot of a repository that is in the cache, as the last `irodori pull` or another tool left it. Asks nobody.
 *
 * @param id - `owner/name`, or `owner/name@revision`.
 * @returns its folder; `undefined` when it is not there, or the text is no id.
 */
export function resolveCached(
  id: string,
  options: { readonly revision?: string | undefined; readonly cache?: string | undefined } = {},
): string | undefined {
  if (!isHubId(id)) return undefined
  const { repo, revision } = parseHubId(id, options.revision)
  const folder = repoFolder(options.cache ?? hubCache(), repo)
  const commit = isCommit(revision) ? revision : readRef(path.join(folder, 'refs', revision))
  if (commit === undefined) return undefined
  const snapshot = path.join(folder, 'snapshots', commit)
  return existsSync(snapshot) ? snapshot : undefined
}

function readRef(file: string): string | undefined {
  if (!existsSync(file)) return undefined
  const commit = readFileSync(file, 'utf8').trim()
  return isCommit(commit) ? commit : undefined
}
