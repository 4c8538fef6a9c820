/** A missing or broken addon is one error that says what was tried. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { failure, scratchFolder } from './fixtures'

const folder = scratchFolder()
const before = process.env.IRODORI_ADDON

beforeEach(() => {
  vi.resetModules()
})
afterEach(() => {
  if (before === undefined) delete process.env.IRODORI_ADDON
  else process.env.IRODORI_ADDON = before
})

describe('addon()', () => {
  it('is not loaded by importing the bindings', async () => {
    process.env.IRODORI_ADDON = folder.path('absent.node')
    const bindings = await import('../../../src/bindings/index.js')
    expect(failure(() => bindings.openDevice())).toMatchObject({ code: 'unavailable-binding' })
  })

  it.each([
    ['absent', () => folder.path('absent.node')],
    ['not a library', () => folder.write('text.node', 'not a library')],
  ])('says what was tried when the file is %s', async (_, file) => {
    process.env.IRODORI_ADDON = file()
    const { addon } = await import('../../../src/bindings/load.js')
    const error = failure(() => addon()) as Error & { context: Record<string, unknown> }
    expect(error).toMatchObject({ name: 'EngineError', code: 'unavailable-binding' })
    for (const fact of [process.platform, process.arch, process.versions.modules, process.env.IRODORI_ADDON]) {
      expect(error.message).toContain(fact)
    }
    expect(error.message).toMatch(/glibc|musl|system libc/)
    expect(error.message).toMatch(/what helps:\n {2}\S/)
    expect(error.context).toMatchObject({
      platform: process.platform,
      arch: process.arch,
      abi: process.versions.modules,
    })
    expect(error.cause).toBeInstanceOf(Error)
  })

  it('can be loaded after a failure', async () => {
    process.env.IRODORI_ADDON = folder.path('absent.node')
    const { addon } = await import('../../../src/bindings/load.js')
    expect(failure(() => addon())).toMatchObject({ code: 'unavailable-binding' })
    if (before === undefined) delete process.env.IRODORI_ADDON
    else process.env.IRODORI_ADDON = before
    expect(typeof addon().openDevice).toBe('function')
    expect(addon()).toBe(addon())
  })
})
