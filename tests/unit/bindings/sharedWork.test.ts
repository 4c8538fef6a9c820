/** Work shared by callers: done once, cancelled only by the last who leaves. */
import { describe, expect, it } from 'vitest'
import { SharedWork } from '../../../src/bindings/sharedWork'

/** Work whose end the test decides. */
function held<T>() {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  let signal: AbortSignal | undefined
  const work = new SharedWork<T>((given) => {
    signal = given
    return new Promise<T>((yes, no) => {
      resolve = yes
      reject = no
      given.addEventListener('abort', () => no(new Error('stopped')))
    })
  })
  return {
    work,
    resolve: (value: T) => resolve(value),
    reject: (error: unknown) => reject(error),
    signal: () => signal,
  }
}

describe('SharedWork', () => {
  it('gives every caller the one result', async () => {
    const { work, resolve } = held<number>()
    const all = Promise.all([work.join(), work.join(new AbortController().signal), work.join()])
    resolve(7)
    expect(await all).toEqual([7, 7, 7])
    expect(work.cancelled).toBe(false)
    expect(await work.join()).toBe(7)
  })

  it('goes on when one of two leaves', async () => {
    const { work, resolve, signal } = held<number>()
    const leaver = new AbortController()
    const left = work.join(leaver.signal)
    const stays = work.join()
    leaver.abort('enough')
    await expect(left).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
    expect(signal()?.aborted).toBe(false)
    resolve(1)
    expect(await stays).toBe(1)
  })

  it('is cancelled when the last leaves', async () => {
    const { work, signal } = held<number>()
    const [a, b] = [new AbortController(), new AbortController()]
    const both = Promise.allSettled([work.join(a.signal), work.join(b.signal)])
    a.abort()
    b.abort()
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(signal()?.aborted).toBe(true)
    expect(work.cancelled).toBe(true)
  })

  it('tells everyone of a failure, and the owner too', async () => {
    const { work, reject } = held<number>()
    let failed = 0
    work.onFailure(() => {
      failed += 1
    })
    const both = Promise.allSettled([work.join(), work.join(new AbortController().signal)])
    const error = new Error('broken')
    reject(error)
    expect(await both).toEqual([
      { status: 'rejected', reason: error },
      { status: 'rejected', reason: error },
    ])
    expect(failed).toBe(1)
  })

  it('refuses a caller whose signal has fired', async () => {
    const { work, resolve } = held<number>()
    await expect(work.join(AbortSignal.abort('late'))).rejects.toMatchObject({ code: 'ABORT_ERR', cause: 'late' })
    const stays = work.join()
    resolve(2)
    expect(await stays).toBe(2)
  })

  it('discards a result that comes although everyone has left', async () => {
    const discarded: number[] = []
    let resolve = (_: number) => {}
    const work = new SharedWork<number>(
      () =>
        new Promise((done) => {
          resolve = done
        }),
      (result) => discarded.push(result),
    )
    const leaver = new AbortController()
    const left = work.join(leaver.signal)
    leaver.abort()
    await expect(left).rejects.toMatchObject({ code: 'ABORT_ERR' })
    resolve(3)
    await new Promise(setImmediate)
    expect(discarded).toEqual([3])
  })
})
