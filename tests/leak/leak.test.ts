/** Memory does not grow with use: the same again costs nothing more once warm. */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const sanitized = (process.env.LD_PRELOAD ?? '').includes('asan')

/** Allowed growth for all repetitions together: pages the allocator keeps, V8's own tables. */
const CASES = [
  ['engines', 12],
  ['runs', 12],
  ['files', 12],
  ['workers', 32],
] as const

// The sanitizer keeps freed memory on purpose.
describe.skipIf(sanitized).each(['reference', 'cpu'])('on %s', (backend) => {
  it.each(CASES)('%s leave nothing behind', { timeout: 300_000 }, async (what, allowedMiB) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--expose-gc',
      path.join(__dirname, 'churn.cjs'),
      backend,
      what,
    ])
    const { count, growthBytes } = JSON.parse(stdout)
    console.log(`${backend}: ${(growthBytes / 2 ** 20).toFixed(1)} MiB after ${count} times ${what}`)
    expect(growthBytes / 2 ** 20).toBeLessThan(allowedMiB)
  })
})
