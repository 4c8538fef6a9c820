/**
 * `irodori pull`: brings a model from the hub into the cache that Hugging Face's tools share.
 *
 * `@huggingface/hub` lists the files. Its own download neither resumes nor checks hashes, and two of them at once write
 * into one another's file, so the transfer is ours.
 */

import { copyFile, mkdir, rename, rm, stat, statfs, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { EngineError, throwIfAborted } from '../errors'
import { jsonObject, readJson } from '../weights/jsonFields'
import { downloadBlob } from './blobDownload'
import { isCode, withFileLock } from './fileLock'
import { type Environment, hubCache, isCommit, parseHubId, repoFolder } from './hubCache'
import { type HubAccess, type HubFile, type HubListing, hubAccess, listRepo } from './hubListing'
import { neededFiles, type WantedFiles } from './neededFiles'

export interface PullOptions extends WantedFiles {
  /** Branch, tag or commit. @defaultValue what stands behind the id's `@`, else `'main'` */
  readonly revision?: string | undefined
  /** The cache's folder. @defaultValue `HF_HUB_CACHE`, else in `HF_HOME` */
  readonly cache?: string | undefined
  /** Where `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT` and `HF_TOKEN` are looked up. @defaultValue `process.env` */
  readonly environment?: Environment | undefined
  /** First wait before a failed request is repeated, in milliseconds. @defaultValue 1000 */
  readonly retryMs?: number | undefined
  /** How long a server may be silent before it is asked again, in milliseconds. @defaultValue 30000 */
  readonly silenceMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Called as bytes arrive. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined
}

/** How far a pull is. */
export interface PullProgress {
  /** The file at work, by its path in the repository. */
  readonly file: string
  /** Of all files, those that were there included. */
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface PulledFile {
  readonly path: string
  readonly sizeBytes: number
  /** Whether it was in the cache already. */
  readonly cached: boolean
}

export interface PullResult {
  readonly repo: string
  readonly revision: string
  readonly commit: string
  /** The snapshot: what a model is loaded from. */
  readonly folder: string
  readonly files: readonly PulledFile[]
  /** What came over the network. */
  readonly receivedBytes: number
}

/**
 * Brings the files a model needs into the cache. What is there stays; what broke off is taken up.
 *
 * @param id - `owner/name` or `owner/name@revision`.
 * @throws {@link EngineError} `invalid-argument`, `invalid-option`, `missing-file`, `unsupported-format`, and `io` for the
 * network, the disk, and files that do not hash to what the hub says.
 * @throws AbortError when the signal fires.
 */
export async function pull(id: string, options: PullOptions = {}): Promise<PullResult> {
  const { environment = process.env, signal } = options
  const hubId = parseHubId(id, options.revision)
  throwIfAborted(signal)
  const access = await hubAccess(environment)
  const listing = await listRepo(hubId, access, signal)
  const { repo, revision } = hubId
  const { commit } = listing
  const store: Store = {
    ...listing,
    repo,
    access,
    folder: repoFolder(options.cache ?? hubCache(environment), repo),
    options,
  }
  const snapshot = path.join(store.folder, 'snapshots', commit)
  const { index, received: indexBytes } = await readIndex(store, snapshot)
  const wanted = neededFiles(repo, listing.files, index, options)
  if (wanted.length === 0) {
    const message = `${repo}: expected a model's files, got none: neither model_index.json nor config.json nor safetensors`
    throw new EngineError('missing-file', message, { repo, revision })
  }
  const totalBytes = wanted.reduce((sum, file) => sum + file.sizeBytes, 0)
  const files: PulledFile[] = []
  let receivedBytes = 0
  let doneBytes = 0
  for (const file of wanted) {
    const received =
      (await fetchFile(store, snapshot, file, (bytes) =>
        options.onProgress?.({ file: file.path, doneBytes: doneBytes + bytes, totalBytes }),
      )) ?? (file.path === INDEX ? indexBytes : undefined)
    doneBytes += file.sizeBytes
    receivedBytes += received ?? 0
    files.push({ path: file.path, sizeBytes: file.sizeBytes, cached: received === undefined })
    options.onProgress?.({ file: file.path, doneBytes, totalBytes })
  }
  // Last of all: what a branch stands for is complete.
  if (!isCommit(revision)) await writeInPlace(path.join(store.folder, 'refs', revision), commit)
  return { repo, revision, commit, folder: snapshot, files, receivedBytes }
}

/** Where files come from and go to. */
interface Store extends HubListing {
  readonly repo: string
  readonly access: HubAccess
  readonly folder: string
  readonly options: PullOptions
}

const INDEX = 'model_index.json'

/** The pipeline's index, which says what else is needed, and the bytes it took. */
async function readIndex(
  store: Store,
  snapshot: string,
): Promise<{ readonly index?: Readonly<Record<string, unknown>>; readonly received?: number | undefined }> {
  const file = store.files.find(({ path: name }) => name === INDEX)
  if (file === undefined || store.options.include !== undefined) return {}
  const received = await fetchFile(store, snapshot, file, () => {})
  const where = path.join(snapshot, INDEX)
  return { index: jsonObject(await readJson(where), where), received }
}

/**
 * Brings one file into blobs and snapshot.
 *
 * @returns bytes received; `undefined` when it was there.
 */
async function fetchFile(
  { repo, commit, access, folder, options }: Store,
  snapshot: string,
  file: HubFile,
  onBytes: (bytes: number) => void,
): Promise<number | undefined> {
  const { signal, retryMs, silenceMs } = options
  const pointer = path.join(snapshot, ...file.path.split('/'))
  const blob = path.join(folder, 'blobs', file.hash.hex)
  const isThere = () => isFileOf(blob, file.sizeBytes)
  throwIfAborted(signal)
  if (await isThere()) {
    await linkInPlace(blob, pointer)
    return undefined
  }
  const locks = path.join(path.dirname(folder), '.locks', path.basename(folder))
  await mkdir(locks, { recursive: true })
  await mkdir(path.dirname(blob), { recursive: true })
  // Python's tools lock files of the ending `.lock` in a way Node.js has no call for.
  const received = await withFileLock(
    path.join(locks, `${file.hash.hex}.irodori`),
    isThere,
    async () => {
      await checkSpace(blob, file, repo)
      const where = file.path.split('/').map(encodeURIComponent).join('/')
      const url = `${access.endpoint}/${repo}/resolve/${commit}/${where}`
      const source = { url, what: `${repo}: ${file.path}`, sizeBytes: file.sizeBytes, hash: file.hash }
      return downloadBlob(blob, source, { access, retryMs, silenceMs, signal, onBytes })
    },
    signal,
  )
  await linkInPlace(blob, pointer)
  return received
}

async function isFileOf(file: string, sizeBytes: number): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile() && found.size === sizeBytes,
    () => false,
  )
}

/** Refuses a file that the disk has no room for, before it is half there. */
async function checkSpace(blob: string, file: HubFile, repo: string): Promise<void> {
  const there = await stat(`${blob}.incomplete`).then(
    ({ size }) => size,
    () => 0,
  )
  const { bavail, bsize } = await statfs(path.dirname(blob))
  const needed = file.sizeBytes - there
  if (needed <= bavail * bsize) return
  const message = `${repo}: ${file.path}: expected ${needed} bytes free in ${path.dirname(blob)}, got ${bavail * bsize}`
  throw new EngineError('io', message, { file: blob, expected: needed, got: bavail * bsize })
}

/** A link from the snapshot to the blob, replaced when it leads elsewhere; a copy where links are not allowed. */
async function linkInPlace(blob: string, pointer: string): Promise<void> {
  await mkdir(path.dirname(pointer), { recursive: true })
  const target = path.relative(path.dirname(pointer), blob)
  const aside = `${pointer}.${process.pid}.link`
  await rm(aside, { force: true })
  try {
    await symlink(target, aside)
    await rename(aside, pointer)
  } catch (error) {
    if (!isCode(error, 'EPERM')) throw error
    await copyFile(blob, aside)
    await rename(aside, pointer)
  }
}

/** Writes a small file so that readers see the old one or the new one. */
async function writeInPlace(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true })
  const aside = `${file}.${process.pid}.part`
  await writeFile(aside, text)
  await rename(aside, file)
}
