/**
 * DiT-XL/2 at 256 x 256 (latents 4 x 32 x 32), batch 1: irodori against onnxruntime-node in fp32, alternating in one process.
 *
 *   node bench/dit.mjs FOLDER [--dtype f32|bf16] [--threads N] [--blocks 5] [--runs 3] [--peers .scratch/peers] [--peak GFLOPS] [--json]
 *
 * FOLDER is what bench/peers/export_dit_onnx.py wrote. Both sides first give their output for one input, which is
 * compared with PyTorch's; then blocks of runs alternate, so that whatever else the machine does falls on both. Every run
 * has a timestep of its own: nothing of an earlier run can be used again. A last block keeps the timestep, as guidance
 * and repeated schedules do, to show what the cut saves.
 */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const require = createRequire(import.meta.url)
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dtype: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    blocks: { type: 'string', default: '5' },
    runs: { type: 'string', default: '3' },
    peers: { type: 'string', default: path.join(root, '.scratch', 'peers') },
    peak: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const [folder] = positionals
if (!folder) {
  console.error('usage: node bench/dit.mjs FOLDER   (see the first lines of this file)')
  process.exit(2)
}
const [threads, blocks, runs] = [options.threads, options.blocks, options.runs].map(Number)

const { loadComponent, readSafetensors } = require(path.join(root, 'dist', 'index.js'))
const { modelDefinition } = require(path.join(root, 'dist', 'models', 'index.js'))
const { graphFlops } = require(path.join(root, 'dist', 'graph', 'index.js'))
const peer = createRequire(path.join(path.resolve(options.peers), 'package.json'))
const ort = peer('onnxruntime-node')

const tensors = await readSafetensors(path.join(folder, 'case.safetensors'))
const latents = tensors['in.hidden_states']
const label = tensors['in.class_labels']
const want = tensors['out.sample'].data

const ours = await loadComponent(folder, 'transformer', { threads, ...(options.dtype ? { dtype: options.dtype } : {}) })
const session = await ort.InferenceSession.create(path.join(folder, 'dit.onnx'), {
  executionProviders: ['cpu'],
  intraOpNumThreads: threads,
  graphOptimizationLevel: 'all',
})

const runOurs = async (t) => (await ours.run({ hidden_states: latents, timestep: t, class_labels: label })).sample.data
const runTheirs = async (t) => {
  const { sample } = await session.run({
    hidden_states: new ort.Tensor('float32', latents.data, latents.shape),
    timestep: new ort.Tensor('float32', Float32Array.of(t), [1]),
    class_labels: new ort.Tensor('int64', label.data, label.shape),
  })
  return sample.data
}

const off = { irodori: relativeL2(await runOurs(981), want), onnxruntime: relativeL2(await runTheirs(981), want) }

let t = 0
const nextTimestep = () => {
  t = (t + 37) % 997
  return t + 4 / 3
}
const times = { irodori: [], onnxruntime: [], irodoriSameTimestep: [] }
for (let block = 0; block < blocks; block += 1) {
  for (const [name, run] of block % 2
    ? [
        ['onnxruntime', runTheirs],
        ['irodori', runOurs],
      ]
    : [
        ['irodori', runOurs],
        ['onnxruntime', runTheirs],
      ]) {
    for (let i = 0; i < runs; i += 1) times[name].push(await timed(run, nextTimestep()))
  }
}
for (let i = 0; i < runs; i += 1) times.irodoriSameTimestep.push(await timed(runOurs, 981))

const config = JSON.parse(readFileSync(path.join(folder, 'transformer', 'config.json'), 'utf8'))
const { graph } = modelDefinition('DiTTransformer2DModel').build(
  config,
  { component: 'transformer' },
  { height: 32, width: 32 },
)
const gflops = graphFlops(graph) / 1e9
const medians = Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]))
const peak = options.peak ? Number(options.peak) : estimatedPeak()
const { info } = ours.device
const report = {
  cpu: cpus()[0]?.model.trim(),
  threads,
  arithmetic: info.arithmetic,
  dtype: ours.dtype,
  node: process.version,
  onnxruntime: peer('onnxruntime-node/package.json').version,
  relativeL2AgainstPyTorch: off,
  mediansMs: medians,
  spreadMs: Object.fromEntries(
    Object.entries(times).map(([name, list]) => [name, [Math.min(...list), Math.max(...list)]]),
  ),
  speedOfIrodori: medians.onnxruntime / medians.irodori,
  gflopsPerRun: gflops,
  gflopsPerSecond: { irodori: (gflops / medians.irodori) * 1e3, onnxruntime: (gflops / medians.onnxruntime) * 1e3 },
  fmaPeakGflops: peak,
}
if (options.json) console.log(JSON.stringify(report, null, 1))
else {
  console.log(
    `${report.cpu}, ${threads} threads; irodori ${report.dtype} (${report.arithmetic}), onnxruntime-node ${report.onnxruntime} fp32, node ${report.node}`,
  )
  console.log(
    `relative L2 against PyTorch: irodori ${off.irodori.toExponential(1)}, onnxruntime ${off.onnxruntime.toExponential(1)}`,
  )
  for (const [name, ms] of Object.entries(medians)) {
    const rate = (gflops / ms) * 1e3
    const [low, high] = report.spreadMs[name]
    const share = peak ? `, ${((100 * rate) / peak).toFixed(0)} % of the FMA peak` : ''
    console.log(
      `  ${name.padEnd(20)} ${ms.toFixed(0).padStart(6)} ms  (${low.toFixed(0)}-${high.toFixed(0)})  ${rate.toFixed(1)} GFLOP/s${share}`,
    )
  }
  console.log(`irodori is ${report.speedOfIrodori.toFixed(2)} times as fast (${gflops.toFixed(1)} GFLOP a run)`)
}
ours.dispose()
await session.release()

async function timed(run, timestep) {
  const started = performance.now()
  await run(timestep)
  return performance.now() - started
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

function relativeL2(got, reference) {
  let difference = 0
  let norm = 0
  reference.forEach((value, i) => {
    difference += (got[i] - value) ** 2
    norm += value ** 2
  })
  return Math.sqrt(difference / norm)
}

/** Cores x clock x float32 operations a cycle (two FMA units, 8 lanes with AVX2, 16 with AVX-512); clock as the kernel says it now. */
function estimatedPeak() {
  const text = readFileSync('/proc/cpuinfo', 'utf8')
  const mhz = Math.max(...[...text.matchAll(/^cpu MHz\s*: (.*)$/gm)].map(([, value]) => Number(value)))
  const lanes = /\bavx512f\b/.test(text) ? 16 : /\bavx2\b/.test(text) ? 8 : 0
  return lanes && Number.isFinite(mhz) ? (threads * mhz * lanes * 4) / 1e3 : undefined
}
