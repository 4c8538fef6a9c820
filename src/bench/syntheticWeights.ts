/** Weights that nobody trained: every tensor of a network at its true size, over a file that need not be as large. */

import { open } from 'node:fs/promises'
import { philoxNormals } from '../tensor/philox'
import { elements, type Shape } from '../tensor/shape'
import type { NeededTensor } from '../weights'
import type { Checkpoint, TensorEntry } from '../weights/checkpoint'

/** Values that repeat; a prime number of them, so that no matrix has two equal rows side by side. */
const PATTERN = 262_139
const SEED = 20
const BF16_BYTES = 2

/** Tensors with one distribution, which read the same stretch of the file. */
interface Region {
  readonly mean: number
  readonly deviation: number
  readonly tensors: NeededTensor[]
}

/**
 * Normal values at scales that keep activations near one: matrices by their fan-in to a power of two, weights of norms
 * about one. Tensors of one scale share their bytes, so that 860 million parameters take a file of a tenth of that; packs
 * are made of each, and no computation can tell.
 *
 * Throws what the system throws when the file cannot be written.
 */
export async function writeSyntheticWeights(file: string, needed: readonly NeededTensor[]): Promise<Checkpoint> {
  const regions = new Map<string, Region>()
  for (const tensor of needed) {
    const { mean, deviation } = distribution(tensor)
    const key = `${mean} ${deviation}`
    const region = regions.get(key) ?? { mean, deviation, tensors: [] }
    region.tensors.push(tensor)
    regions.set(key, region)
  }
  const normals = philoxNormals(SEED, 0n, PATTERN)
  const tensors = new Map<string, TensorEntry>()
  const output = await open(file, 'wx')
  try {
    let begin = 0
    for (const { mean, deviation, tensors: sharing } of regions.values()) {
      for (const { name, shape } of sharing) {
        const end = begin + elements(shape) * BF16_BYTES
        tensors.set(name, { name, file, dtype: 'bf16', shape, begin, end })
      }
      const size = Math.max(...sharing.map(({ shape }) => elements(shape)))
      const pattern = bf16(normals.map((value) => mean + deviation * value))
      for (let left = size; left > 0; left -= PATTERN) {
        const { bytesWritten } = await output.write(pattern.subarray(0, left * BF16_BYTES))
        begin += bytesWritten
      }
    }
  } finally {
    await output.close()
  }
  return { tensors, identity: `synthetic ${file}` }
}

function distribution({ name, shape }: NeededTensor): { readonly mean: number; readonly deviation: number } {
  if (shape.length <= 1) return name.endsWith('weight') ? { mean: 1, deviation: 0.125 } : { mean: 0, deviation: 0.125 }
  return { mean: 0, deviation: 2 ** -Math.round(Math.log2(fanIn(shape)) / 2) }
}

const fanIn = (shape: Shape) => Math.max(1, elements(shape.slice(1)))

/** The upper halves of the floats: truncated, which is as good here as rounded. */
function bf16(values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const halves = Uint16Array.from(words, (word) => word >>> 16)
  return new Uint8Array(halves.buffer)
}
