/** Long work in small parts leaves turns to others; short work takes none. */

import { expect, it } from 'vitest'
import { mapInTurns } from '../../../src/pipelines/turns'

/** Turns of the event loop that others had meanwhile. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0
  let running = true
  const tick = () => {
    turns++
    if (running) setImmediate(tick)
  }
  setImmediate(tick)
  await work()
  running = false
  return turns
}

const busy = (ms: number) => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

it('maps in order', async () => {
  expect(await mapInTurns([5, 6, 7], (value, index) => value * 10 + index)).toEqual([50, 61, 72])
  expect(await mapInTurns([], () => 1)).toEqual([])
})

it('gives turns away while it works long', async () => {
  const turns = await turnsDuring(() => mapInTurns(Array(10).fill(5), busy))
  expect(turns).toBeGreaterThanOrEqual(4)
})

it('passes an error on', async () => {
  const failing = mapInTurns([1, 2], (value) => {
    if (value === 2) throw new Error('two')
  })
  await expect(failing).rejects.toThrow('two')
})
