/** The byte bound of states, and who may free them when. */
import { describe, expect, it } from 'vitest'
import type { DeviceBuffer } from '../../../src/bindings/device'
import { SharedWork } from '../../../src/bindings/sharedWork'
import { type State, StateCache } from '../../../src/bindings/stateCache'

function state(
  key: string,
  sizeBytes: number,
  work = new SharedWork<void>(async () => undefined),
  unique = false,
): State & { freed(): boolean } {
  let disposed = false
  const buffer = {
    sizeBytes,
    dispose() {
      disposed = true
    },
  } as unknown as DeviceBuffer
  return { key, sizeBytes, buffers: new Map([['state', buffer]]), work, unique, users: 1, freed: () => disposed }
}

describe('StateCache', () => {
  it('frees the least recently used first, and never one in use', () => {
    const cache = new StateCache(100)
    const [a, b, c] = [state('a', 40), state('b', 40), state('c', 40)]
    cache.add(a)
    cache.add(b)
    cache.release(b)
    cache.release(a)
    expect(cache.take('a')).toBe(a) // now the most recent, and in use
    cache.add(c)
    expect([a.freed(), b.freed(), c.freed()]).toEqual([false, true, false])
    expect(cache.sizeBytes).toBe(80)
    cache.release(a)
    cache.release(c)
    expect(cache.count).toBe(2)
  })

  it('exceeds its bound only while calls hold states', () => {
    const cache = new StateCache(10)
    const [a, b] = [state('a', 40), state('b', 40)]
    cache.add(a)
    cache.add(b)
    expect(cache.sizeBytes).toBe(80)
    cache.release(a)
    cache.release(b)
    expect(cache.sizeBytes).toBe(0)
    expect(a.freed() && b.freed()).toBe(true)
  })

  it('drops a state whose run failed, and frees it with its last user', async () => {
    const cache = new StateCache(100)
    const failing = state('a', 40, new SharedWork<void>(() => Promise.reject(new Error('broken'))))
    cache.add(failing)
    await failing.work.join().catch(() => undefined)
    await Promise.resolve()
    expect(cache.take('a')).toBeUndefined()
    expect(failing.freed()).toBe(false)
    cache.release(failing)
    expect(failing.freed()).toBe(true)
    expect(cache.sizeBytes).toBe(0)
  })

  it('frees one that nobody can ask for again with its last user', () => {
    const cache = new StateCache(100)
    const a = state('a', 40, undefined, true)
    cache.add(a)
    a.users += 1
    cache.release(a)
    expect([a.freed(), cache.count]).toEqual([false, 1])
    cache.release(a)
    expect([a.freed(), cache.count]).toEqual([true, 0])
  })

  it('clears: unused at once, used ones with their last user', () => {
    const cache = new StateCache(100)
    const [a, b] = [state('a', 10), state('b', 10)]
    cache.add(a)
    cache.add(b)
    cache.release(b)
    cache.clear()
    expect([a.freed(), b.freed()]).toEqual([false, true])
    cache.release(a)
    expect(a.freed()).toBe(true)
  })
})
