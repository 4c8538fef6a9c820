/** Peaks and times of steps: rates that can be compared, times that add up to the run's. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, DeviceWeights, openDevice, type PartTimes } from '../../../src/bindings'
import { BACKENDS, chain, emptyCheckpoint, loadProgram, noise, rejection } from './fixtures'

describe('peaks', () => {
  let device: Device
  beforeAll(() => {
    device = openDevice({ instructions: 'portable', threads: 2 })
  })
  afterAll(() => device.dispose())

  it('are those that the instruction set may use, and memory', async () => {
    expect(device.peaks).toEqual(['fma_portable', 'memory_read', 'memory_copy'])
    for (const name of device.peaks) {
      const rate = await device.measurePeak(name, { timeMs: 5 })
      expect(rate).toBeGreaterThan(1e7)
      expect(rate).toBeLessThan(1e13)
    }
  })

  it('are refused by name, by threads and by time', async () => {
    for (const asked of [
      () => device.measurePeak('fma_avx512'),
      () => device.measurePeak('memory_read', { threads: 3 }),
    ]) {
      expect(await rejection(asked())).toMatchObject({ name: 'EngineError', code: 'invalid-option' })
    }
    expect(await rejection(device.measurePeak('memory_read', { timeMs: 0 }))).toMatchObject({
      code: 'invalid-argument',
    })
  })

  it('stop when the signal fires', async () => {
    const started = performance.now()
    const measured = device.measurePeak('memory_copy', { timeMs: 10_000, signal: AbortSignal.timeout(20) })
    expect(await rejection(measured)).toMatchObject({ name: 'AbortError' })
    expect(performance.now() - started).toBeLessThan(5000)
  })

  it('are none of the reference', async () => {
    using reference = openDevice({ device: 'reference' })
    expect(reference.peaks).toEqual([])
    expect(await rejection(reference.measurePeak('memory_read'))).toMatchObject({ code: 'invalid-option' })
  })
})

describe.each(BACKENDS)('times of steps on %s', (backend) => {
  it('are told for every step, and fit into the run', async () => {
    const tokens = 32
    const width = 64
    const program = chain({ tokens, width, steps: 5 })
    using device = openDevice({ device: backend })
    using weights = new DeviceWeights(device, emptyCheckpoint)
    using executable = await loadProgram(device, program, weights)
    const heard: PartTimes['stepMs'][] = []
    const started = performance.now()
    await executable.run({
      rows: 2,
      inputs: { x: [noise(tokens * width, 1), noise(tokens * width, 2)] },
      outputs: { y: [new Float32Array(tokens * width), new Float32Array(tokens * width)] },
      onStepTimes: (stepMs) => heard.push(stepMs),
    })
    const wallMs = performance.now() - started
    expect(heard).toHaveLength(1)
    const [stepMs = []] = heard
    expect(stepMs).toHaveLength(program.steps.length)
    expect(stepMs.every((ms) => ms > 0)).toBe(true)
    expect(stepMs.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(wallMs)
  })
})
