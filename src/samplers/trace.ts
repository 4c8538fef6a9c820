/**
 * Running a sampler on symbols: what it computes, as plain coefficients that need no generator.
 *
 * Samplers are linear and their coefficients depend on the schedule alone, so a trace holds for every request with that
 * schedule; a device can replay it for several steps without returning to JavaScript.
 */

import { EngineError } from '../errors'
import { asSymbolic, type Latent, lincomb, type SymbolicLatent, symbol, type Term } from '../tensor/latent'
import type { Level } from './level'
import type { Noise, Sampler, SamplerReply, SamplerRequest } from './sampler'
import type { Schedule } from './schedule'

/**
 * One summand of a traced latent.
 *
 * `initial` is the latent the run starts from; `x`, `x0`, `uncond` are of the reply to request `index`; `noise` is number
 * `index` of {@link SamplerTrace.noises}.
 */
export interface TracedTerm {
  readonly of: 'initial' | 'x' | 'x0' | 'uncond' | 'noise'
  readonly index: number
  readonly coefficient: number
}

/** Everything a sampler asks for and returns, as linear combinations. */
export interface SamplerTrace {
  /** Per evaluation of the network: where, and the latent to evaluate at. */
  readonly requests: readonly (Omit<SamplerRequest, 'x'> & { readonly x: readonly TracedTerm[] })[]
  /** The latent at the last level. */
  readonly result: readonly TracedTerm[]
  /** The intervals whose noise is used. */
  readonly noises: readonly { readonly from: Level; readonly to: Level }[]
}

/** Runs the sampler once on symbols. */
export function traceSampler(sampler: Sampler, schedule: Schedule): SamplerTrace {
  const unknowns = new Map<string, Omit<TracedTerm, 'coefficient'>>()
  const unknown = (of: TracedTerm['of'], index: number): SymbolicLatent => {
    unknowns.set(`${of} ${index}`, { of, index })
    return symbol(`${of} ${index}`)
  }
  const noises: { readonly from: Level; readonly to: Level }[] = []
  const noise: Noise = (from, to) => {
    const known = noises.findIndex((interval) => sameLevel(interval.from, from) && sameLevel(interval.to, to))
    return unknown('noise', known >= 0 ? known : noises.push({ from, to }) - 1)
  }
  const terms = (latent: Latent): TracedTerm[] =>
    [...asSymbolic(latent).coefficients].map(([name, coefficient]) => {
      const found = unknowns.get(name)
      if (found === undefined) throw new EngineError('internal', `traceSampler: unknown symbol ${name}`)
      return { ...found, coefficient }
    })

  const requests: SamplerTrace['requests'][number][] = []
  const run = sampler(unknown('initial', 0), schedule, noise)
  let turn = run.next()
  while (!turn.done) {
    const index = requests.push({ ...turn.value, x: terms(turn.value.x) }) - 1
    turn = run.next({ x: unknown('x', index), x0: unknown('x0', index), uncond: unknown('uncond', index) })
  }
  return { requests, result: terms(turn.value), noises }
}

/**
 * Does what the traced sampler did, from its coefficients: one linear combination per evaluation.
 *
 * @param answer - evaluates the network; may edit the latent.
 * @throws {@link EngineError} `missing-input` when the trace needs `uncond` and a reply has none.
 */
export function replayTrace(
  trace: SamplerTrace,
  x: Latent,
  noise: Noise,
  answer: (request: SamplerRequest, index: number) => SamplerReply,
): Latent {
  const replies: SamplerReply[] = []
  const find = ({ of, index }: TracedTerm): Latent | undefined => {
    switch (of) {
      case 'initial':
        return x
      case 'noise': {
        const interval = trace.noises[index]
        return interval && noise(interval.from, interval.to)
      }
      default:
        return replies[index]?.[of]
    }
  }
  const combine = (terms: readonly TracedTerm[]): Latent =>
    lincomb(
      ...terms.map((term): Term => {
        const latent = find(term)
        if (latent !== undefined) return [term.coefficient, latent]
        throw new EngineError('missing-input', `replayTrace: expected ${term.of} in reply ${term.index}, got none`)
      }),
    )
  trace.requests.forEach((request, index) => {
    replies.push(answer({ ...request, x: combine(request.x) }, index))
  })
  return combine(trace.result)
}

function sameLevel(a: Level, b: Level): boolean {
  return a.alpha === b.alpha && a.sigma === b.sigma && a.t === b.t
}
