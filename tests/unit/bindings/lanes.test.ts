/** What waits for what: runs only for those of their own lane, short work of the loader for no pack. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { DeviceWeights, openDevice, readSafetensorsIndex } from '../../../src/bindings'
import type { ParamSpec } from '../../../src/compile'
import { literalRecipe, permuteRecipe } from '../../../src/graph/recipe'
import { encodeSafetensors } from '../../../src/weights/safetensorsWriter'
import { affine, BACKENDS, chain, emptyCheckpoint, loadProgram, noise, scratchFolder } from './fixtures'

const SLOW = { tokens: 96, width: 256, steps: 120 }
const SLOW_VALUES = SLOW.tokens * SLOW.width
const folder = scratchFolder()

describe.each(BACKENDS)('on %s', (backend) => {
  it('a short run on one device does not wait for a long one on another', async () => {
    using busy = openDevice({ device: backend })
    using idle = openDevice({ device: backend })
    using busyWeights = new DeviceWeights(busy, emptyCheckpoint)
    using idleWeights = new DeviceWeights(idle, emptyCheckpoint)
    using slow = await loadProgram(busy, chain(SLOW), busyWeights)
    using quick = await loadProgram(idle, affine(4), idleWeights)
    const order: string[] = []
    const y = new Float32Array(4)
    await Promise.all([
      slow
        .run({ rows: 1, inputs: { x: [noise(SLOW_VALUES, 1)] }, outputs: { y: [new Float32Array(SLOW_VALUES)] } })
        .then(() => order.push('slow')),
      quick
        .run({ rows: 1, inputs: { x: [Float32Array.of(1, 2, 3, 4)] }, outputs: { y: [y] } })
        .then(() => order.push('quick')),
    ])
    expect(order).toEqual(['quick', 'slow'])
    expect([...y]).toEqual([3, 5, 7, 9])
  })

  it('binding and reading a header do not wait for queued packs', async () => {
    const file = folder.write(
      'one.safetensors',
      encodeSafetensors({ a: { dtype: 'f32', shape: [1], data: Float32Array.of(1) } }),
    )
    using device = openDevice({ device: backend })
    using weights = new DeviceWeights(device, emptyCheckpoint)
    const params = Array.from({ length: 60 }, (_, i): ParamSpec => {
      const recipe = permuteRecipe(literalRecipe(new Float32Array(1 << 20).fill(i), [1024, 1024]), [1, 0])
      return { recipe, packing: 'plain', dtype: 'f32', shape: [1024, 1024] }
    })
    const order: string[] = []
    const packs = weights.packs(params).then(() => order.push('packs'))
    await sleep(100)
    const [executable] = await Promise.all([
      loadProgram(device, affine(4), weights),
      readSafetensorsIndex(file).then(() => order.push('header')),
    ])
    order.push('bound')
    executable.dispose()
    await packs
    expect(order).toEqual(['header', 'bound', 'packs'])
  })
})
