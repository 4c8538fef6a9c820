/** The torch-CPU generator against PyTorch: the same bits, over calls of mixed sizes on one generator. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { torchRandom } from '../../../src/tensor/torchRandom'

interface Draw {
  readonly seed: number
  readonly count: number
  readonly sha256: string
  readonly values: string | null
}

const draws: readonly Draw[] = JSON.parse(readFileSync(join(__dirname, 'torchRandom.json'), 'utf8'))

test.each([...new Set(draws.map(({ seed }) => seed))])('seed %d', (seed) => {
  const random = torchRandom(seed)
  for (const draw of draws.filter((candidate) => candidate.seed === seed)) {
    const bytes = Buffer.from(random.randn(draw.count).buffer)
    if (draw.values !== null) expect(bytes.toString('base64'), `randn(${draw.count})`).toBe(draw.values)
    expect(createHash('sha256').update(bytes).digest('hex'), `randn(${draw.count})`).toBe(draw.sha256)
  }
})
