/** Networks of one run by the length of its texts, with what they make of each text kept on the device. */

import type { NetworkState } from '../bindings'
import { EngineError } from '../errors'
import type { Sizes } from '../models'
import type { NetworkLease } from './componentNetworks'
import type { TextState } from './conditioning'
import type { DenoiserRow } from './denoise'
import { joinChannels } from './latents'
import type { SessionPlan } from './model'
import type { PipelineNetwork } from './network'
import type { PixelSize } from './sizes'

/** What is known of a denoiser. */
export interface DenoiserParts {
  readonly network: PipelineNetwork
  readonly controlNets: readonly PipelineNetwork[]
  /** The graph input that is the latent. */
  readonly latentInput: string
  /** Channels of a latent; the network may give as many again, a variance that no sampler here reads. */
  readonly channels: number
  readonly pixelsPerCell: number
  /** Further inputs that belong to a run as the prompt does: sizes, guidance. */
  readonly conditions: (size: PixelSize, guidance: number) => Readonly<Record<string, Float32Array>>
}

/** A network for one length of texts, and the states of those texts. */
export interface TextLease {
  readonly lease: NetworkLease
  readonly states: ReadonlyMap<TextState, NetworkState>
}

/** A row's own inputs: the latent, with what stands beside it, and the time. */
export function latentOf(
  { latentInput, channels }: Pick<DenoiserParts, 'latentInput' | 'channels'>,
  { latent, beside, level }: DenoiserRow,
): Readonly<Record<string, Float32Array>> {
  const timestep = Float32Array.of(level.t)
  const whole = beside === undefined ? latent : joinChannels([latent, beside], latent.length / channels)
  return { [latentInput]: whole, timestep }
}

export function stateOf(
  states: ReadonlyMap<TextState, NetworkState>,
  { text }: DenoiserRow,
): { readonly state: NetworkState } {
  const state = states.get(text)
  if (state) return { state }
  throw new EngineError('internal', 'denoiser: expected a text of the session, got another one')
}

/** Networks for the lengths of a session's texts, opened as they are needed, with a state for each text. */
export class TextLeases {
  readonly #network: PipelineNetwork
  readonly #cells: PixelSize
  readonly #shared: Readonly<Record<string, Float32Array>>
  readonly #plan: SessionPlan
  readonly #form: 'plain' | 'controlled'
  readonly #open = new Map<number, { readonly lease: NetworkLease; readonly states: Map<TextState, NetworkState> }>()

  constructor(
    network: PipelineNetwork,
    cells: PixelSize,
    shared: Readonly<Record<string, Float32Array>>,
    plan: SessionPlan,
    form: 'plain' | 'controlled' = 'plain',
  ) {
    this.#network = network
    this.#cells = cells
    this.#shared = shared
    this.#plan = plan
    this.#form = form
  }

  /** The network for a length, with states of all the session's texts of that length. */
  async get(textLength: number, signal: AbortSignal): Promise<TextLease> {
    const known = this.#open.get(textLength)
    if (known) return known
    const sizes: Sizes = { height: this.#cells.height, width: this.#cells.width, textLength }
    const outputs = this.#network.model.ports.outputs.map(({ name }) => name)
    const lease = await this.#network.lease({ sizes, outputs, form: this.#form }, signal)
    const states = new Map<TextState, NetworkState>()
    const opened = { lease, states }
    this.#open.set(textLength, opened)
    for (const text of this.#plan.texts) {
      if (text.textLength !== textLength) continue
      const inputs = Object.entries({ ...text.inputs, ...this.#shared }).filter(([name]) => lease.inputs.has(name))
      states.set(text, lease.network.state(Object.fromEntries(inputs)))
    }
    return opened
  }

  /** Runs what depends on texts alone, and what depends on times, for the whole plan. */
  async prepare(signal: AbortSignal): Promise<void> {
    const steps = this.#plan.times.map((t) => ({ timestep: Float32Array.of(t) }))
    for (const textLength of new Set(this.#plan.texts.map((text) => text.textLength))) {
      const { lease, states } = await this.get(textLength, signal)
      const rows = [...states.values()].flatMap((state, i) =>
        (i === 0 ? steps : steps.slice(0, 1)).map((inputs) => ({ state, inputs })),
      )
      await lease.network.prepare(rows, { signal })
    }
  }

  dispose(): void {
    for (const { lease, states } of this.#open.values()) {
      for (const state of states.values()) state.dispose()
      lease[Symbol.dispose]()
    }
    this.#open.clear()
  }
}
