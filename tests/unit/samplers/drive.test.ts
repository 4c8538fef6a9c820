/** Driving samplers: request by request, synchronously and asynchronously, all the same. */

import { expect, test } from 'vitest'
import { runSampler, runSamplerAsync, startSampler } from '../../../src/samplers/drive'
import { heun } from '../../../src/samplers/heun'
import { asHost } from '../../../src/tensor/latent'
import { answer, evenSchedule, noNoise, single } from './gaussian'

const schedule = evenSchedule(6)

test('the three ways give the same bits', async () => {
  const want = asHost(runSampler(heun(), single(0.9), schedule, noNoise, answer)).data

  const run = startSampler(heun(), single(0.9), schedule, noNoise)
  let count = 0
  while (run.request !== undefined) {
    expect(run.result).toBeUndefined()
    count++
    run.resume(answer(run.request))
  }
  if (run.result === undefined) throw new Error('no result')
  expect(asHost(run.result).data).toEqual(want)
  expect(count).toBe(12)
  expect(() => run.resume({ x: single(0), x0: single(0) })).toThrowError(
    expect.objectContaining({ code: 'invalid-argument' }),
  )

  const indices: number[] = []
  const later = await runSamplerAsync(heun(), single(0.9), schedule, noNoise, async (request, index) => {
    indices.push(index)
    return answer(request)
  })
  expect(asHost(later).data).toEqual(want)
  expect(indices).toEqual(Array.from({ length: 12 }, (_, i) => i))
})

test('a rejected evaluation ends the run', async () => {
  let calls = 0
  const run = runSamplerAsync(heun(), single(0.9), schedule, noNoise, async () => {
    calls++
    throw new Error('device lost')
  })
  await expect(run).rejects.toThrowError('device lost')
  expect(calls).toBe(1)
})
