/** Folders and rejections for the tests of weights. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll } from 'vitest'

/** A folder that goes after the test file; `write` makes the folders of a path. */
export function scratch(): { readonly folder: string; write(name: string, content: string | Uint8Array): string } {
  const folder = mkdtempSync(path.join(tmpdir(), 'irodori-weights-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return {
    folder,
    write(name, content) {
      const file = path.join(folder, name)
      mkdirSync(path.dirname(file), { recursive: true })
      writeFileSync(file, content)
      return file
    },
  }
}

/** What a promise or a call fails with. */
export async function failure(
  work: () => unknown,
): Promise<Error & { code?: string; context?: Record<string, unknown> }> {
  try {
    await work()
  } catch (error) {
    return error as Error
  }
  throw new Error('expected a failure')
}
