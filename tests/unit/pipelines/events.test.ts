/** The queue of a stream: slow readers lose old previews and progress, never a picture. */

import { describe, expect, it } from 'vitest'
import { makeImage } from '../../../src/images/image'
import { EventQueue, type StreamEvent } from '../../../src/pipelines/events'

const image = makeImage(new Uint8Array(3), 1, 1)
const progress = (done: number): StreamEvent => ({ type: 'progress', stage: 'denoise', done, of: 4 })
const preview = (index: number, step: number): StreamEvent => ({ type: 'preview', index, step, image })
const picture = (index: number): StreamEvent => ({ type: 'image', index, image })

async function drain(queue: EventQueue): Promise<StreamEvent[]> {
  const events: StreamEvent[] = []
  for (let event = await queue.next(); event !== undefined; event = await queue.next()) events.push(event)
  return events
}

describe('EventQueue', () => {
  it('keeps the newest progress and preview of each picture, and every picture', async () => {
    const queue = new EventQueue()
    const pushed = [progress(1), preview(0, 1), preview(1, 1), progress(2), preview(0, 2), picture(0), picture(1)]
    for (const event of pushed) queue.push(event)
    queue.end()
    expect(await drain(queue)).toEqual([progress(2), picture(0), picture(1)])
  })

  it('gives a reader that keeps up everything in order', async () => {
    const queue = new EventQueue()
    const reading = drain(queue)
    const pushed = [progress(1), preview(0, 1), progress(2), preview(0, 2), picture(0)]
    for (const event of pushed) {
      queue.push(event)
      await new Promise((resolve) => setImmediate(resolve))
    }
    queue.end()
    expect(await reading).toEqual(pushed)
  })

  it('gives the error after the events before it', async () => {
    const queue = new EventQueue()
    queue.push(picture(0))
    queue.end(new Error('broken'))
    expect(await queue.next()).toEqual(picture(0))
    await expect(queue.next()).rejects.toThrow('broken')
  })
})
