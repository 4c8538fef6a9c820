/** Devices: options, what they say of themselves, memory, and use after dispose. */
import { afterEach, describe, expect, it } from 'vitest'
import { type Device, openDevice } from '../../../src/bindings'
import { BACKENDS, failure } from './fixtures'

const opened: Device[] = []
const open = (...args: Parameters<typeof openDevice>) => {
  const device = openDevice(...args)
  opened.push(device)
  return device
}
afterEach(() => {
  for (const device of opened.splice(0)) device.dispose()
})

describe.each(BACKENDS)('device %s', (backend) => {
  it('says what it is', () => {
    const { info, capabilities } = open({ device: backend })
    expect(info.backend).toBe(backend)
    expect(info.name).not.toBe('')
    expect(info.threads).toBeGreaterThanOrEqual(1)
    expect(info.memoryBytes).toBeGreaterThan(2 ** 26)
    expect(capabilities.backend).toBe(backend)
    expect(capabilities.dtypes).toContain('f32')
    expect(capabilities.dtypes).toContain(capabilities.preferredDtype)
    expect(capabilities.kernels).toContain('matmul')
    expect(capabilities.attentionKeyBlock).toBeGreaterThan(0)
  })

  it('counts buffers while they live', () => {
    const device = open({ device: backend })
    expect(device.memory()).toEqual({ packBytes: 0, bufferBytes: 0, arenaBytes: 0 })
    const a = device.allocate(1000)
    const b = device.allocate(24)
    expect(device.memory().bufferBytes).toBe(1024)
    a.dispose()
    a.dispose()
    expect(device.memory().bufferBytes).toBe(24)
    b[Symbol.dispose]()
    expect(device.memory().bufferBytes).toBe(0)
  })

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60])('refuses to allocate %d bytes', (bytes) => {
    const device = open({ device: backend })
    expect(failure(() => device.allocate(bytes))).toMatchObject({ code: 'invalid-argument' })
  })

  it('says so when memory runs out', () => {
    const device = open({ device: backend })
    expect(failure(() => device.allocate(2 ** 46))).toMatchObject({ code: 'out-of-memory' })
  })

  it('refuses use after dispose, and a second dispose does nothing', () => {
    const device = open({ device: backend })
    const buffer = device.allocate(64)
    device.dispose()
    device.dispose()
    expect(failure(() => device.allocate(1))).toMatchObject({ code: 'disposed' })
    expect(failure(() => device.memory())).toMatchObject({ code: 'disposed' })
    expect(failure(() => device.lane)).toMatchObject({ code: 'disposed' })
    expect(device.info.backend).toBe(backend)
    buffer.dispose()
    expect(failure(() => buffer.handle)).toMatchObject({ code: 'disposed' })
  })
})

describe('openDevice', () => {
  it.each([
    [{ device: 'tpu' }, 'invalid-option', /device: expected cpu, reference, got tpu/],
    [{ device: 7 }, 'invalid-option', /device: expected cpu, reference, got 7/],
    [{ instructions: 'sse9' }, 'invalid-option', /instructions: expected auto, portable/],
    [{ threads: 0 }, 'invalid-option', /threads/],
    [{ threads: 1.5 }, 'invalid-option', /threads/],
    [{ threads: Number.NaN }, 'invalid-option', /threads/],
    [{ threads: 'many' }, 'invalid-option', /threads/],
    [{ threads: 100_000 }, 'invalid-option', /threads/],
    [{ cores: 2 }, 'unknown-option', /cores/],
    [{ device: 'reference', threads: 2 }, 'invalid-option', /threads/],
    [{ device: 'reference', instructions: 'avx2' }, 'invalid-option', /instructions/],
  ])('refuses %j', (options, code, message) => {
    const error = failure(() => openDevice(options as never))
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('takes the number of threads it is given', () => {
    for (const threads of [1, 2, 3]) expect(open({ threads }).info.threads).toBe(threads)
  })
})
