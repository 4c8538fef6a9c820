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
  readonly schedule: string | null
  readonly network: 'epsilon' | 'v_prediction' | 'sample' | 'flow' | 'edm' | 'edm_v'
  readonly timesteps: readonly number[]
  readonly inputs: readonly string[]
  readonly result: string
}

const read = (name: string) => JSON.parse(readFileSync(join(__dirname, name), 'utf8'))
const goldens: Readonly<Record<string, Golden>> = { ...read('schedulers.json'), ...read('solvers.json') }
const manifest: {
  readonly seed: number
  readonly shape: readonly number[]
  readonly network: Readonly<Record<Golden['network'], readonly [number, number]>>
  readonly tolerance: { readonly 'schedulers.json': number }
} = read('MANIFEST.json')
const tolerance = manifest.tolerance['schedulers.json']

const PREDICTIONS = {
  epsilon: 'epsilon',
  v_prediction: 'v',
  sample: 'x0',
  flow: 'flow',
  edm: 'edm',
  edm_v: 'edm',
} as const

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
  const squares = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0)
  const difference = want.data.map((value, i) => value - (got.data[i] ?? Number.NaN))
  const error = Math.sqrt(squares(difference) / squares(want.data))
  const worst = difference.reduce((at, value, i) => (Math.abs(value) > Math.abs(difference[at] ?? 0) ? i : at), 0)
  const values = `relative L2 ${error}; at ${worst} want ${want.data[worst]}, got ${got.data[worst]}`
  expect(error, `${where}: ${values}`).toBeLessThanOrEqual(tolerance)
}

describe.each(Object.entries(goldens))('%s', (_, golden) => {
  const plan = scheduleFromConfig(parseSchedulerConfig(golden.config), golden.steps, {
    strength: golden.strength,
    ...(golden.mu !== null && { mu: golden.mu }),
    ...(golden.sigmas !== null && { sigmas: golden.sigmas }),
    ...(golden.schedule !== null && { schedule: golden.schedule }),
    ...(golden.eta !== null && { samplerOptions: { eta: golden.eta } }),
  })
  const noise = torchNoise(manifest.seed, manifest.shape)

  /** The latent a run starts from, as the pipelines make it. */
  function start(): HostLatent {
    const first = plan.schedule.levels[plan.schedule.first]
    if (first === undefined) throw new Error('no level')
    const picture = (i: number) => -1 + (2 * i) / (noise.initial.data.length - 1)
    const values = noise.initial.data.map((z, i) =>
      golden.strength < 1 ? first.alpha * picture(i) + first.sigma * z : plan.initialScale * z,
    )
    return hostLatent(values, manifest.shape)
  }

  test('asks for the same latents at the same timesteps and ends with the same result', () => {
    expect(plan.prediction.name).toBe(PREDICTIONS[golden.network])
    const timesteps: number[] = []
    const result = runSampler(plan.sampler, start(), plan.schedule, noise.between, ({ x: opaque, level }, index) => {
      const x = asHost(opaque)
      const seen = plan.prediction.input(x, level)
      expectClose(seen, decode(golden.inputs[index] ?? ''), `input ${index}`)
      timesteps.push(level.t)
      return { x, x0: plan.prediction.toX0(network(golden.network, seen, level.t), x, level) }
    })
    expect(timesteps).toHaveLength(golden.timesteps.length)
    timesteps.forEach((t, i) => {
      expect(Math.abs(t - (golden.timesteps[i] ?? Number.NaN)), `timestep ${i}`).toBeLessThanOrEqual(1e-3)
    })
    expectClose(asHost(result), decode(golden.result), 'result')
  })
})
