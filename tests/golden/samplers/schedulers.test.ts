/** Every sampler and schedule against diffusers, evaluation by evaluation. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { asHost, type HostLatent, hostLatent } from '../../../src/samplers'
import { runSampler } from '../../../src/samplers/drive'
import { torchNoise } from '../../../src/samplers/noise'
import { parseSchedulerConfig } from '../../../src/samplers/schedules/config'
import { scheduleFromConfig } from '../../../src/samplers/schedules/fromConfig'

interface Golden {
  readonly config: string
  readonly steps: number
  readonly strength: number
  readonly eta: number | null
  readonly mu: number | null
  readonly sigmas: readonly number[] | null
  readonly network: 'epsilon' | 'v_prediction' | 'sample' | 'flow'
  readonly timesteps: readonly number[]
  readonly inputs: readonly string[]
  readonly result: string
}

const read = (name: string) => JSON.parse(readFileSync(join(__dirname, name), 'utf8'))
const goldens: Readonly<Record<string, Golden>> = read('schedulers.json')
const manifest: {
  readonly seed: number
  readonly shape: readonly number[]
  readonly network: Readonly<Record<Golden['network'], readonly [number, number]>>
  readonly tolerance: { readonly 'schedulers.json': number }
} = read('MANIFEST.json')
const tolerance = manifest.tolerance['schedulers.json']

const PREDICTIONS = { epsilon: 'epsilon', v_prediction: 'v', sample: 'x0', flow: 'flow' } as const

function decode(base64: string): HostLatent {
  const bytes = Buffer.from(base64, 'base64')
  return hostLatent(new Float32Array(new Uint8Array(bytes).buffer), manifest.shape)
}

/** The network of make.py: p x + q sin(2 x + i) + 0.1 cos(0.003 t + 0.7 i). */
function network(kind: Golden['network'], x: HostLatent, t: number): HostLatent {
  const [p, q] = manifest.network[kind]
  return hostLatent(
    x.data.map((value, i) => p * value + q * Math.sin(2 * value + i) + 0.1 * Math.cos(0.003 * t + 0.7 * i)),
    x.shape,
  )
}

function expectClose(got: HostLatent, want: HostLatent, where: string): void {
  const largest = Math.max(...want.data.map(Math.abs))
  let worst = { index: -1, error: 0 }
  want.data.forEach((value, index) => {
    const error = Math.abs(value - (got.data[index] ?? Number.NaN)) / largest
    if (!(error <= worst.error)) worst = { index, error }
  })
  const values = `want ${want.data[worst.index]}, got ${got.data[worst.index]}`
  expect(worst.error, `${where}[${worst.index}]: ${values}`).toBeLessThanOrEqual(tolerance)
}

describe.each(Object.entries(goldens))('%s', (_, golden) => {
  const plan = scheduleFromConfig(parseSchedulerConfig(golden.config), golden.steps, {
    strength: golden.strength,
    ...(golden.mu !== null && { mu: golden.mu }),
    ...(golden.sigmas !== null && { sigmas: golden.sigmas }),
    ...(golden.eta !== null && { samplerOptions: { eta: golden.eta } }),
  })
  const noise = torchNoise(manifest.seed, manifest.shape)
  const start = decode(golden.inputs[0] ?? '')

  test('starts from the same latent', () => {
    const first = plan.schedule.levels[plan.schedule.first]
    expect(first).toBeDefined()
    if (first === undefined) return
    const picture = (i: number) => -1 + (2 * i) / (noise.initial.data.length - 1)
    const own =
      golden.strength < 1
        ? noise.initial.data.map((z, i) => first.alpha * picture(i) + first.sigma * z)
        : noise.initial.data.map((z) => plan.initialScale * z)
    expectClose(hostLatent(own, manifest.shape), start, 'start')
  })

  test('asks for the same latents at the same timesteps and ends with the same result', () => {
    expect(plan.prediction.name).toBe(PREDICTIONS[golden.network])
    const timesteps: number[] = []
    const result = runSampler(plan.sampler, start, plan.schedule, noise.between, ({ x, level }, index) => {
      const seen = asHost(x)
      expectClose(seen, decode(golden.inputs[index] ?? ''), `input ${index}`)
      timesteps.push(level.t)
      return { x, x0: plan.prediction.toX0(network(golden.network, seen, level.t), seen, level) }
    })
    expect(timesteps).toHaveLength(golden.timesteps.length)
    timesteps.forEach((t, i) => {
      expect(Math.abs(t - (golden.timesteps[i] ?? Number.NaN)), `timestep ${i}`).toBeLessThanOrEqual(1e-3)
    })
    expectClose(asHost(result), decode(golden.result), 'result')
  })
})
