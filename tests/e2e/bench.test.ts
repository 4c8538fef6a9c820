/** `irodori bench run` on the bundled denoiser: a report that adds up, peers that are said to be missing, no file left behind. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BenchReport } from '../../src/bench/benchRun'
import { main, runCommand, startCommand } from '../command'

let folder = ''
beforeAll(async () => {
  expect(existsSync(main), 'run npm run build:ts first').toBe(true)
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-bench-test-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const bench = (...args: string[]) =>
  runCommand(['bench', 'run', ...args], { cwd: folder, env: { ...process.env, TMPDIR: folder } })

// Blocks and peaks have lengths of their own: on a busy machine a run takes minutes.
describe('bench run', { timeout: 240_000 }, () => {
  it('reports peaks, steps and networks as one document', async () => {
    const { status, stdout } = await bench(
      ...['--suite', 'ops,denoiser', '--only', 'emoji-denoiser', '--instructions', 'portable'],
      ...['--rounds', '1', '--threads', '1', '--json', '-o', 'report.json'],
    )
    expect(status).toBe(0)
    const report = JSON.parse(stdout) as BenchReport
    expect(JSON.parse(readFileSync(path.join(folder, 'report.json'), 'utf8'))).toEqual(report)
    expect(report).toMatchObject({ version: 1, device: { arithmetic: 'portable', threads: 1, dtype: 'f32' } })
    expect(report.machine.versions).toHaveProperty('irodori')
    expect(report.peaks.map(({ name, unit }) => [name, unit])).toEqual([
      ['fma_portable', 'FLOP/s'],
      ['memory_read', 'B/s'],
      ['memory_copy', 'B/s'],
    ])

    const [ops] = report.ops
    if (!ops) throw new Error('expected a report of steps')
    expect(ops).toMatchObject({ workload: 'emoji-denoiser', rows: 1, stepsOfRun: 20 })
    // What timesteps alone decide is made for all steps of a run at once: a twentieth of it for each.
    const ofTimesteps = ops.steps.find(({ shape }) => shape === '1x1536x256')
    expect(ofTimesteps?.flops).toBe(2 * 1536 * 256)
    expect(ofTimesteps?.bytes).toBeLessThan((1536 * 256 * 4) / 10)
    const kernels = ops.kernels.map(({ kernel }) => kernel)
    expect(kernels).toEqual(expect.arrayContaining(['matmul', 'attention', 'layer_norm', 'conv2d']))
    const count = (rows: typeof ops.steps) => rows.reduce((sum, row) => sum + row.count, 0)
    expect(count(ops.steps)).toBe(count(ops.kernels))
    expect(count(ops.steps)).toBe(ops.products.count + ops.passes.count)
    expect(ops.products.share + ops.passes.share).toBeCloseTo(1, 1)
    expect(ops.stepsMs).toBeLessThanOrEqual(ops.ms)
    expect(ops.fusedBytes).toBeLessThan(ops.movedBytes)
    expect(ops.products.ofPeak).toBeGreaterThan(0)

    expect(report.networks.map(({ rows }) => rows)).toEqual([1, 2])
    for (const { standings, missing, rounds, steps } of report.networks) {
      expect([rounds, steps]).toEqual([1, 20])
      expect(standings.map(({ name }) => name)).toEqual(['irodori'])
      expect(standings[0]?.ms.p50).toBeGreaterThan(0)
      expect(standings[0]?.peakMemoryBytes).toBeGreaterThan(30e6)
      expect(missing).toEqual([expect.stringContaining('--exported')])
    }
    expect(readdirSync(folder)).toEqual(['report.json'])
  })

  it('takes turns with peers, compares outputs, and goes on without those that fail', async () => {
    const place = (file: string, content: string) => {
      mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
      writeFileSync(path.join(folder, file), content)
    }
    // Gives zeros; as int8 it fails in its second block.
    place(
      'peers/onnxruntime.mjs',
      `import { createInterface } from 'node:readline'
      let model = ''
      let blocks = 0
      for await (const line of createInterface({ input: process.stdin })) {
        const { do: what, calls = [], ...load } = JSON.parse(line)
        if (what === 'load') model = load.model
        const zeros = Buffer.alloc(4 * 16 * 16 * 16).toString('base64')
        const answers = { load: { loadMs: 1, about: {} }, output: { ms: 3000, data: zeros }, memory: 77, run: calls.map(() => 1e6) }
        const fails = what === 'run' && model.endsWith('int8.onnx') && ++blocks === 2
        console.log(JSON.stringify(fails ? { error: 'no more memory' } : { ok: answers[what] }))
      }`,
    )
    place('peers/node_modules/onnxruntime-node/index.js', '')
    place('exported/emoji-denoiser/model.onnx', '')
    place('exported/emoji-denoiser/model.int8.onnx', '')
    const { status, stdout } = await bench(
      ...[
        '--suite',
        'denoiser',
        '--only',
        'emoji-denoiser',
        '--instructions',
        'portable',
        '--threads',
        '1',
        '--rows',
        '1',
      ],
      ...['--rounds', '2', '--steps', '1', '--exported', 'exported', '--peers', 'peers', '--json'],
    )
    expect(status).toBe(0)
    const { networks } = JSON.parse(stdout) as BenchReport
    expect(networks).toHaveLength(1)
    const [own, peer, ...others] = networks[0]?.standings ?? []
    expect(others).toEqual([])
    expect([own?.ratio, own?.distance]).toEqual([undefined, undefined])
    expect(peer).toMatchObject({ name: 'onnxruntime-node fp32', distance: 1, peakMemoryBytes: 77, firstMs: 3000 })
    expect(peer?.ms).toMatchObject({ count: 2, p50: 1e6 })
    expect(peer?.ratio).toBeGreaterThan(100)
    expect(networks[0]?.missing).toEqual([expect.stringContaining('--python'), 'onnxruntime-node int8: no more memory'])
    for (const made of ['peers', 'exported']) rmSync(path.join(folder, made), { recursive: true })
  })

  it('prints tables for people', async () => {
    const { status, stdout } = await bench('--suite', 'ops', '--only', 'emoji-denoiser', '--instructions', 'portable')
    expect(status).toBe(0)
    expect(stdout).toMatch(
      /^emoji-denoiser: .*1 row, f32: [\d.]+ m?s, .* of it in steps, median of \d+ calls, 20 of them the steps of one run$/m,
    )
    expect(stdout).toMatch(/^matmul +64x1024x256 \+gelu_tanh +8 /m)
    expect(stdout).toMatch(/a call moves [\d.]+ MB; products alone, a perfect fusion, [\d.]+ MB \(\d+ %\)/)
    expect(stdout).toMatch(/^fma_portable +[\d.]+ [MGT]FLOP\/s +[\d.]+ [MGT]FLOP\/s$/m)
  })

  it('leaves nothing behind when it is ended', async () => {
    const env = { ...process.env, TMPDIR: folder }
    const { child, ended } = startCommand(['bench', 'run', '--suite', 'denoiser', '--only', 'dit-small'], {
      cwd: folder,
      env,
    })
    const made = () => readdirSync(folder).filter((name) => name.startsWith('irodori-bench-'))
    await expect
      .poll(() => made().flatMap((name) => readdirSync(path.join(folder, name))), { timeout: 30_000 })
      .not.toEqual([])
    child.kill('SIGTERM')
    expect((await ended).status).toBe(143)
    expect(made()).toEqual([])
  })

  it.each([
    [['--only', 'sd3'], 1, /invalid-option: only: expected workloads among sd15-unet, .*got "sd3"/],
    [['--suite', 'gpu'], 2, /usage: .*expected ops, denoiser, vae/],
    [['--rounds', '0'], 2, /usage: .*expected 1 to 1000/],
    [['--rows', '1,0'], 2, /usage: .*expected 1 to 64/],
    [['--instructions', 'neon'], 2, /usage: .*Allowed choices/],
  ])('refuses %j', async (args, code, message) => {
    const { status, stdout, stderr } = await bench(...args)
    expect({ status, stdout }).toEqual({ status: code, stdout: '' })
    expect(stderr).toMatch(message)
  })
})
