/**
 * What the child processes run, by the name of a backend: a chain of matmuls on it; or, for `emoji`, pictures of the
 * bundled model, where steps are the sampler's. Both take about as long as asked on the machine at hand.
 */
const path = require('node:path')
const { chain, emptyCheckpoint, noise } = require('./programs.cjs')

const dist = process.env.IRODORI_DIST ?? path.resolve(__dirname, '../../../dist')

const TOKENS = 64
const WIDTH = 256
const MOST_SAMPLER_STEPS = 500

/** `run(seed, signal)` gives the same bits for the same seed; `small` makes a run as short as it can be. */
const openEngine = ({ backend, ...options }) =>
  backend === 'emoji' ? openPictures(options) : openChain({ backend, ...options })

async function openPictures({ steps, small = false }) {
  const { loadPipeline } = require(dist)
  const pipe = await loadPipeline('emoji')
  const run = async (seed = 1, signal) => {
    const prompt = seed % 2 ? 'a red apple' : '寿司'
    const { images } = await pipe.generate({
      prompt,
      seed,
      steps: Math.min(steps, MOST_SAMPLER_STEPS),
      ...(small ? { size: 64 } : {}),
      ...(signal ? { signal } : {}),
    })
    if (!small) await images[0].encode('png')
    return images[0].data
  }
  return { run, dispose: () => pipe.dispose() }
}

/** Opens a device and loads a chain of that many steps. */
async function openChain({ backend, steps, small = false }) {
  const { DeviceWeights, loadExecutable, openDevice } = require(path.join(dist, 'bindings'))
  const { programRunnable } = require(path.join(dist, 'compile'))
  const tokens = small ? 1 : TOKENS
  const values = tokens * WIDTH
  const device = openDevice({ device: backend })
  const weights = new DeviceWeights(device, emptyCheckpoint)
  const executable = await loadExecutable(device, programRunnable(chain({ tokens, width: WIDTH, steps })), weights)
  const run = async (seed = 1, signal) => {
    const y = new Float32Array(values)
    await executable.run({ rows: 1, inputs: { x: [noise(values, seed)] }, outputs: { y: [y] }, signal })
    return y
  }
  const dispose = () => {
    executable.dispose()
    weights.dispose()
    device.dispose()
  }
  return { device, weights, executable, run, dispose }
}

/** How many steps make a run of about `ms` milliseconds here. */
async function stepsFor(backend, ms) {
  const steps = 8
  const engine = await openEngine({ backend, steps })
  await engine.run()
  const started = performance.now()
  for (let i = 0; i < 3; i++) await engine.run()
  const stepMs = (performance.now() - started) / 3 / steps
  engine.dispose()
  return Math.min(5000, Math.max(2, Math.round(ms / stepMs)))
}

/** A short name for a result's bits. */
function bits(y) {
  return require('node:crypto')
    .createHash('sha256')
    .update(new Uint8Array(y.buffer, y.byteOffset, y.byteLength))
    .digest('base64')
}

module.exports = { bits, openEngine, stepsFor }
