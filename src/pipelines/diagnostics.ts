/** Channels of `node:diagnostics_channel` on which pipelines tell what they do. Prompts and pictures are never told. */

import { channel } from 'node:diagnostics_channel'

/** Message on `irodori:load`. */
export interface LoadMessage {
  readonly model: string
  /** The one network that is loaded; left out for a pipeline. */
  readonly component?: string
  readonly phase: 'start' | 'end' | 'error'
  readonly durationMs?: number
  /** Tensors of the files that the network does not read; of a pipeline as `component/name`. */
  readonly unused?: readonly string[]
  readonly error?: unknown
}

/** Message on `irodori:request`. */
export interface RequestMessage {
  readonly id: number
  readonly model: string
  readonly phase: 'start' | 'end' | 'error'
  readonly steps: number
  /** Pictures. */
  readonly count: number
  /** Of the finished pictures; left out until it is known. */
  readonly width?: number
  readonly height?: number
  readonly durationMs?: number
  readonly error?: unknown
}

/** Message on `irodori:step`: one evaluation of the denoiser for all rows of a request. */
export interface StepMessage {
  readonly id: number
  readonly model: string
  /** From 1. */
  readonly evaluation: number
  readonly of: number
  readonly rows: number
  readonly durationMs: number
}

const load = channel('irodori:load')
const request = channel('irodori:request')
const step = channel('irodori:step')

export function publishLoad(message: LoadMessage): void {
  if (load.hasSubscribers) load.publish(message)
}

export function publishRequest(message: RequestMessage): void {
  if (request.hasSubscribers) request.publish(message)
}

export function publishStep(message: StepMessage): void {
  if (step.hasSubscribers) step.publish(message)
}
