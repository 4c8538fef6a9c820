/** A lock between processes: a file that its holder keeps fresh, and that others take when it goes stale. */

import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { throwIfAborted } from '../errors'

const HEARTBEAT_MS = 2000
const POLL_MS = 200
/** A lock whose time stands still for so long was left behind. */
const STALE_MS = 15_000

/**
 * Does work while nobody else holds the lock. It saves double work and guards nothing: two holders, after a clock or a
 * file system went wrong, must do no harm.
 *
 * @param file - does not exist while nobody holds it; its folder does.
 * @param ready - looked at while waiting: work that another process has done meanwhile is not done again.
 * @returns what the work gives; `undefined` when it was ready.
 * @throws AbortError when the signal fires while waiting.
 */
export async function withFileLock<T>(
  file: string,
  ready: () => Promise<boolean>,
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  if (!(await acquire(file, ready, signal))) return undefined
  const beat = setInterval(() => {
    const now = new Date()
    utimes(file, now, now).catch(() => {}) // taken by somebody who thought it stale
  }, HEARTBEAT_MS).unref()
  try {
    return await work()
  } finally {
    clearInterval(beat)
    await rm(file, { force: true })
  }
}

/** Creates the file; `false` when there is no work left. */
async function acquire(file: string, ready: () => Promise<boolean>, signal: AbortSignal | undefined): Promise<boolean> {
  let seen: { readonly mtimeMs: number; readonly at: number } | undefined
  for (;;) {
    throwIfAborted(signal)
    if (await ready()) return false
    try {
      const handle = await open(file, 'wx')
      await handle.writeFile(`${os.hostname()} ${process.pid}\n`)
      await handle.close()
      return true
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error
    }
    const mtimeMs = await stat(file).then(
      (found) => found.mtimeMs,
      () => undefined, // gone meanwhile
    )
    if (mtimeMs === undefined) continue
    if (seen?.mtimeMs !== mtimeMs) seen = { mtimeMs, at: performance.now() }
    if (performance.now() - seen.at > STALE_MS || (await holderIsGone(file))) {
      // Of several who see it stale one renames it; the others find no such file, or a fresh one.
      const aside = `${file}.${randomBytes(4).toString('hex')}`
      await rename(file, aside).catch(() => {})
      await rm(aside, { force: true })
      seen = undefined
      continue
    }
    await sleep(POLL_MS, undefined, { signal }).catch(() => throwIfAborted(signal))
  }
}

/** Whether the lock names a process of this machine that has ended. */
async function holderIsGone(file: string): Promise<boolean> {
  const [host, pid] = (await readFile(file, 'utf8').catch(() => '')).trim().split(' ')
  if (host !== os.hostname() || !/^\d+$/.test(pid ?? '')) return false
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return isCode(error, 'ESRCH')
  }
}

/** Whether an error has a system's code. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
