/** Latents: opaque vectors that a sampler may only combine linearly, on the host or as symbols. */

import { EngineError } from '../errors'
import { elements, formatShape, type Shape, sameShape } from './shape'

/** One summand of a linear combination. */
export type Term<L extends Latent = Latent> = readonly [coefficient: number, latent: L]

/** The vector space a latent lives in: host memory, symbols, or a device's memory. */
export interface LatentSpace {
  readonly name: string
  /** The sum of `coefficient * latent`; no term has coefficient 0 unless all have, and there is at least one. */
  combine(terms: readonly Term[]): Latent
}

/** A vector of which only linear combinations can be formed. Never changed in place. */
export interface Latent {
  readonly space: LatentSpace
}

/** A latent in host memory. */
export interface HostLatent extends Latent {
  readonly shape: Shape
  readonly data: Float32Array
}

/** A latent as a linear combination of named unknowns. */
export interface SymbolicLatent extends Latent {
  readonly coefficients: ReadonlyMap<string, number>
}

/**
 * The linear combination `sum of coefficient * latent`.
 *
 * A term whose coefficient is 0 is left out, so a latent that no longer matters cannot spread its infinities.
 *
 * @param terms - one or more pairs, all of one space and shape.
 * @throws {@link EngineError} `invalid-argument` when there is no term, a coefficient is not finite or spaces differ.
 * @throws {@link EngineError} `shape-mismatch` when shapes differ.
 */
export function lincomb<L extends Latent>(...terms: readonly Term<L>[]): L {
  const space = terms[0]?.[1].space
  if (space === undefined) throw new EngineError('invalid-argument', 'lincomb: expected at least one term, got none')
  for (const [coefficient, latent] of terms) {
    if (!Number.isFinite(coefficient)) {
      throw new EngineError('invalid-argument', `lincomb: expected finite coefficients, got ${coefficient}`)
    }
    if (latent.space !== space) {
      const got = latent.space.name
      throw new EngineError('invalid-argument', `lincomb: expected latents of one space (${space.name}), got ${got}`)
    }
  }
  const kept = terms.filter(([coefficient]) => coefficient !== 0)
  return space.combine(kept.length > 0 ? kept : terms.slice(0, 1)) as L // a space combines its own kind into its own kind
}

/** Host memory: float64 arithmetic in the order of the terms, rounded to float32 once when stored. */
const hostSpace: LatentSpace = {
  name: 'host',
  combine(terms) {
    const operands = terms.map(([coefficient, latent]) => ({ coefficient, latent: asHost(latent) }))
    const shape = operands[0]?.latent.shape ?? []
    for (const { latent } of operands) {
      if (sameShape(latent.shape, shape)) continue
      const got = formatShape(latent.shape)
      throw new EngineError('shape-mismatch', `lincomb: expected shape ${formatShape(shape)}, got ${got}`)
    }
    const data = new Float32Array(elements(shape)) // [...shape]
    for (let i = 0; i < data.length; i++) {
      let sum = 0
      for (const { coefficient, latent } of operands) {
        if (coefficient !== 0) sum += coefficient * (latent.data[i] ?? Number.NaN)
      }
      data[i] = sum
    }
    return hostLatent(data, shape)
  },
}

/** Symbols: coefficients are added up exactly as written, so running a sampler yields its formula. */
const symbolicSpace: LatentSpace = {
  name: 'symbolic',
  combine(terms) {
    const coefficients = new Map<string, number>()
    for (const [coefficient, latent] of terms) {
      for (const [name, inner] of asSymbolic(latent).coefficients) {
        coefficients.set(name, (coefficients.get(name) ?? 0) + coefficient * inner)
      }
    }
    const latent: SymbolicLatent = { space: symbolicSpace, coefficients }
    return latent
  },
}

/**
 * Wraps host memory as a latent; the array is kept, not copied.
 *
 * @throws {@link EngineError} `shape-mismatch` when the array's length is not the shape's.
 */
export function hostLatent(data: Float32Array, shape: Shape = [data.length]): HostLatent {
  if (data.length !== elements(shape)) {
    const want = `${elements(shape)} values for shape ${formatShape(shape)}`
    throw new EngineError('shape-mismatch', `hostLatent: expected ${want}, got ${data.length}`)
  }
  return { space: hostSpace, shape, data }
}

/** The unknown of that name. */
export function symbol(name: string): SymbolicLatent {
  return { space: symbolicSpace, coefficients: new Map([[name, 1]]) }
}

/**
 * The latent as host memory.
 *
 * @throws {@link EngineError} `invalid-argument` when it lives elsewhere.
 */
export function asHost(latent: Latent): HostLatent {
  if (latent.space === hostSpace) return latent as HostLatent
  throw new EngineError('invalid-argument', `expected a host latent, got a ${latent.space.name} one`)
}

/**
 * The latent as symbols.
 *
 * @throws {@link EngineError} `invalid-argument` when it is not symbolic.
 */
export function asSymbolic(latent: Latent): SymbolicLatent {
  if (latent.space === symbolicSpace) return latent as SymbolicLatent
  throw new EngineError('invalid-argument', `expected a symbolic latent, got a ${latent.space.name} one`)
}
