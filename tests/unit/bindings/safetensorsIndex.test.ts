/** Reading headers through the addon; what the parser refuses is tested beside the parser. */
import { describe, expect, it } from 'vitest'
import { DeviceWeights, openDevice, readSafetensorsIndex } from '../../../src/bindings'
import type { ParamSpec } from '../../../src/compile'
import { tensorRecipe } from '../../../src/graph/recipe'
import { openCheckpoint } from '../../../src/weights/checkpoint'
import { encodeSafetensors } from '../../../src/weights/safetensorsWriter'
import { rejection, scratchFolder } from './fixtures'

const folder = scratchFolder()

describe('readSafetensorsIndex', () => {
  it('finds every tensor with its absolute byte range', async () => {
    const file = folder.write(
      'good.safetensors',
      encodeSafetensors({
        a: { dtype: 'f32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
        b: { dtype: 'bf16', shape: [1], data: Uint16Array.of(0x3f80) },
        'ids.日本': { dtype: 'i64', shape: [2], data: BigInt64Array.of(1n, -1n) },
      }),
    )
    const entries = new Map((await readSafetensorsIndex(file)).map((entry) => [entry.name, entry]))
    expect([...entries.keys()].sort()).toEqual(['a', 'b', 'ids.日本'])
    expect(entries.get('a')).toMatchObject({ dtype: 'f32', shape: [2, 3], file })
    expect(entries.get('b')).toMatchObject({ dtype: 'bf16', shape: [1] })
    expect(entries.get('ids.日本')).toMatchObject({ dtype: 'i64', shape: [2] })
    for (const { begin, end } of entries.values()) expect(end).toBeGreaterThan(begin)
    expect((entries.get('a')?.end ?? 0) - (entries.get('a')?.begin ?? 0)).toBe(24)
  })

  it('lists types that nothing reads, and fails only where one is asked for', async () => {
    const header = JSON.stringify({
      scale: { dtype: 'F64', shape: [1], data_offsets: [0, 8] },
      table: { dtype: 'F8_E4M3', shape: [4], data_offsets: [8, 12] },
      bias: { dtype: 'F32', shape: [1], data_offsets: [12, 16] },
    })
    const bytes = new Uint8Array(8 + header.length + 16)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true)
    bytes.set(new TextEncoder().encode(header), 8)
    const file = folder.write('doubles.safetensors', bytes)
    const entries = await readSafetensorsIndex(file)
    expect(entries.map(({ dtype }) => dtype)).toEqual(['f64', 'f8_e4m3', 'f32'])

    using device = openDevice({ device: 'reference' })
    using weights = new DeviceWeights(device, await openCheckpoint([file], { readIndex: readSafetensorsIndex }))
    const param = (name: string): ParamSpec => ({
      recipe: tensorRecipe(name, [1]),
      packing: 'plain',
      dtype: 'f32',
      shape: [1],
    })
    expect(await weights.packs([param('bias')])).toHaveLength(1)
    const error = await rejection(weights.packs([param('scale')]))
    expect(error).toMatchObject({ code: 'unsupported-format' })
    expect(error.message).toMatch(/doubles\.safetensors: tensor "scale": expected f32, f16 or bf16, got f64/)
  })

  it('gives bad files their codes, and the stack of the call', async () => {
    const cases = [
      [folder.path('nowhere.safetensors'), 'missing-file'],
      [folder.write('short.safetensors', new Uint8Array(4)), 'invalid-safetensors'],
      [folder.write('text.safetensors', 'no header here, only words'), 'invalid-safetensors'],
    ] as const
    for (const [file, code] of cases) {
      const error = await rejection(readSafetensorsIndex(file))
      expect(error).toMatchObject({ name: 'EngineError', code })
      expect(error.message).toContain(file)
      expect(error.stack).toContain('safetensorsIndex.test.ts')
    }
  })

  it('refuses what is no path', async () => {
    expect(await rejection(readSafetensorsIndex(7 as never))).toMatchObject({ code: 'invalid-argument' })
  })

  it('is abortable before it begins', async () => {
    const file = folder.path('good.safetensors')
    expect(await rejection(readSafetensorsIndex(file, { signal: AbortSignal.abort('no') }))).toMatchObject({
      code: 'ABORT_ERR',
      cause: 'no',
    })
  })
})
