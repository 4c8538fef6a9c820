/** What the child processes run: a chain of matmuls that takes about as long as asked on the machine at hand. */
const path = require('node:path')
const { chain, emptyCheckpoint, noise } = require('./programs.cjs')

const dist = process.env.IRODORI_DIST ?? path.resolve(__dirname, '../../../dist')
const { DeviceWeights, loadExecutable, openDevice } = require(path.join(dist, 'bindings'))
const { programRunnable } = require(path.join(dist, 'compile'))

const TOKENS = 64
const WIDTH = 256

/** Opens a device and loads a chain of that many steps. */
async function openChain({ backend, steps, tokens = TOKENS, threads }) {
  const values = tokens * WIDTH
  const device = openDevice(threads ? { device: backend, threads } : { device: backend })
  const weights = new DeviceWeights(device, emptyCheckpoint)
  const executable = await loadExecutable(device, programRunnable(chain({ tokens, width: WIDTH, steps })), weights)
  /** One run of one row; the same seed gives the same bits. */
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
  const engine = await openChain({ backend, steps })
  await engine.run()
  const started = performance.now()
  for (let i = 0; i < 3; i++) await engine.run()
  const stepMs = (performance.now() - started) / 3 / steps
  engine.dispose()
  return Math.min(5000, Math.max(2, Math.round(ms / stepMs)))
}

/** A short name for a result's bits. */
function bits(y) {
  return require('node:crypto').createHash('sha256').update(new Uint8Array(y.buffer)).digest('base64')
}

module.exports = { bits, openChain, stepsFor }
