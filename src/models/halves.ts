/** Autoencoders: a place must say which half is meant. */

import { EngineError } from '../errors'
import type { Place } from './model'

/** The half of an autoencoder. Throws `unknown-component` when the place names none. */
export function halfOf({ component, part }: Place): 'encoder' | 'decoder' {
  if (part) return part
  const known = [`${component}.encoder`, `${component}.decoder`]
  throw new EngineError('unknown-component', `${component}: expected ${known.join(' or ')}, got ${component}`, {
    name: component,
    known,
  })
}
