/** Where the bundled model comes from, to programs and to people. */

import path from 'node:path'
import { expect, it } from 'vitest'
import { loadPipeline, type ModelProvenance } from '../../src'
import { runCommand } from '../command'

const inspect = (...args: string[]) => runCommand(['inspect', 'emoji', ...args], {})

it('is in a pipeline, and undefined for a folder that does not say', async () => {
  await using pipe = await loadPipeline('emoji')
  const { provenance } = pipe
  expect(provenance?.sources.length).toBeGreaterThan(0)
  expect(Object.isFrozen(provenance)).toBe(true)
  await using plain = await loadPipeline(path.resolve(__dirname, '..', 'golden', 'pipelines', 'sd1'))
  expect(plain.provenance).toBeUndefined()
  const { provenance: told } = JSON.parse((await inspect('--json')).stdout) as { provenance: ModelProvenance }
  // Where the package lies differs between sources and build.
  const names = ({ cards }: ModelProvenance) => Object.values(cards).map((file) => path.basename(file))
  expect({ ...told, cards: {} }).toEqual({ ...provenance, cards: {} })
  expect(names(told)).toEqual(provenance && names(provenance))
})

it('is printed by inspect, with the cards', async () => {
  const { status, stdout } = await inspect()
  expect(status).toBe(0)
  expect(stdout).toMatch(/^made from +number +licence +name$/m)
  expect(stdout).toMatch(/^pictures +[\d,]+ +MIT .*Fluent Emoji/m)
  expect(stdout).toMatch(/^training: [\d.]+ hours on /m)
  expect(stdout).toMatch(/^top-1 +0\.\d+ /m)
  expect(stdout).toMatch(/^limits \(en\): /m)
  expect(stdout).toMatch(/^card \(en\): .*MODEL_CARD\.md$/m)
})
