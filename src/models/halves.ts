/** The halves of an autoencoder: which one a place means, and what goes in and comes out of it. */

import { EngineError } from '../errors'
import type { ModelPorts, Place } from './model'

/** The half of an autoencoder. Throws `unknown-component` when the place names none. */
export function halfOf({ component, part }: Place): 'encoder' | 'decoder' {
  if (part) return part
  const known = [`${component}.encoder`, `${component}.decoder`]
  throw new EngineError('unknown-component', `${component}: expected ${known.join(' or ')}, got ${component}`, {
    name: component,
    known,
  })
}

/** What the ports of a half follow from. */
export interface HalfSizes {
  readonly inChannels: number
  readonly latentChannels: number
  /** What the encoder puts out. */
  readonly encoded: 'moments' | 'latents'
  /** Side of the smallest picture that can be encoded. */
  readonly smallest: number
}

/** Ports of the half that is meant: a picture to `encoded`, or latents to a picture. */
export function halfPorts(at: Place, { inChannels, latentChannels, encoded, smallest }: HalfSizes): ModelPorts {
  if (halfOf(at) === 'encoder') {
    return {
      inputs: [
        { kind: 'picture', name: 'sample', aliases: ['x'], input: 'sample', axes: [inChannels, 'height', 'width'] },
      ],
      outputs: [{ kind: 'picture', name: encoded, output: encoded }],
      smallest: { height: smallest, width: smallest },
    }
  }
  return {
    inputs: [
      {
        kind: 'picture',
        name: 'latent',
        aliases: ['latents', 'x', 'z'],
        input: 'latent',
        axes: [latentChannels, 'height', 'width'],
      },
    ],
    outputs: [{ kind: 'picture', name: 'sample', output: 'sample' }],
    smallest: { height: 1, width: 1 },
  }
}
