/** What a stream tells, and the queue between the work and its reader. */

import type { Image } from '../images/image'
import type { GenerateResult } from './result'

/** Part of a request. */
export type Stage = 'encode' | 'text' | 'denoise' | 'decode' | 'upscale'

/** What `stream` yields: any number of progress and preview events, every picture once, and `done` at the end. */
export type StreamEvent =
  | {
      readonly type: 'progress'
      readonly stage: Stage
      /** Parts of the stage that are done, and how many it has. */
      readonly done: number
      readonly of: number
    }
  | {
      /** What picture `index` will be like; small and soft. */
      readonly type: 'preview'
      readonly index: number
      /** Sampler steps that are done. */
      readonly step: number
      readonly image: Image
    }
  | { readonly type: 'image'; readonly index: number; readonly image: Image }
  | ({ readonly type: 'done' } & Omit<GenerateResult, 'images'>)

/**
 * A queue that a slow reader cannot fill: a new progress event takes the place of an unread one, a new preview that of
 * the unread preview of the same picture. Pictures and the end are never lost.
 */
export class EventQueue {
  #events: StreamEvent[] = []
  #ended = false
  #error: unknown
  #wake: (() => void) | undefined

  push(event: StreamEvent): void {
    this.#events = this.#events.filter((queued) => !replaces(event, queued))
    this.#events.push(event)
    this.#wake?.()
  }

  /** No more events follow; with an error, the reader gets it after what is queued. */
  end(error?: unknown): void {
    this.#ended = true
    this.#error = error
    this.#wake?.()
  }

  /** The next event, or `undefined` at the end. */
  async next(): Promise<StreamEvent | undefined> {
    while (this.#events.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    const event = this.#events.shift()
    if (event === undefined && this.#error !== undefined) throw this.#error
    return event
  }
}

function replaces(event: StreamEvent, queued: StreamEvent): boolean {
  if (event.type === 'preview' && queued.type === 'preview') return event.index === queued.index
  if (event.type === 'image' && queued.type === 'preview') return event.index === queued.index
  return event.type === 'progress' && queued.type === 'progress'
}
