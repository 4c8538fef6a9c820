/** One listener per signal, whatever the number of calls. */
import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { onAbort } from '../../../src/bindings/abortFanOut'

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

describe('onAbort', () => {
  it('adds one listener for a thousand waiters and removes it with the last', () => {
    const { signal } = new AbortController()
    const stops = Array.from({ length: 1000 }, () => onAbort(signal, () => undefined))
    expect(listeners(signal)).toBe(1)
    for (const stop of stops.slice(1)) stop()
    expect(listeners(signal)).toBe(1)
    stops[0]?.()
    expect(listeners(signal)).toBe(0)
  })

  it('calls everyone who still waits, once', () => {
    const controller = new AbortController()
    const called: number[] = []
    const stop = onAbort(controller.signal, () => called.push(0))
    onAbort(controller.signal, () => called.push(1))
    onAbort(controller.signal, () => called.push(2))
    stop()
    stop()
    controller.abort()
    expect(called).toEqual([1, 2])
    expect(listeners(controller.signal)).toBe(0)
  })

  it('counts one callback handed in twice as two waiters', () => {
    const controller = new AbortController()
    let calls = 0
    const callback = () => {
      calls += 1
    }
    onAbort(controller.signal, callback)()
    onAbort(controller.signal, callback)
    onAbort(controller.signal, callback)
    controller.abort()
    expect(calls).toBe(2)
  })

  it('lets a waiter stop others while the signal fires', () => {
    const controller = new AbortController()
    const called: string[] = []
    onAbort(controller.signal, () => {
      called.push('first')
      stopSecond()
    })
    const stopSecond = onAbort(controller.signal, () => called.push('second'))
    controller.abort()
    expect(called).toEqual(['first'])
  })
})
