/** Does one thing over and over; prints how much memory outside V8's heap grew after a warm-up. Needs --expose-gc. */
const path = require('node:path')
const { Worker } = require('node:worker_threads')
const { bits, openEngine } = require('../e2e/lifecycle/engine.cjs')
const programs = require('../e2e/lifecycle/programs.cjs')

const dist = process.env.IRODORI_DIST ?? path.resolve(__dirname, '../../dist')
const { DeviceWeights, loadExecutable, openDevice, readSafetensorsIndex } = require(path.join(dist, 'bindings'))
const { programRunnable } = require(path.join(dist, 'compile'))

/** What is repeated, and how often a round of it is. */
const ACTIONS = {
  /** Everything opened, used and disposed: 4 MiB of packs and 2 MiB of buffer each time. */
  engines: [
    40,
    async (backend) => {
      const engine = await openEngine({ backend, steps: 4 })
      const buffer = engine.device.allocate(2 << 20)
      bits(await engine.run())
      buffer.dispose()
      engine.dispose()
    },
  ],
  /** Runs that are completed, refused and aborted. */
  runs: [
    3000,
    async (backend) => {
      ACTIONS.device ??= openDevice({ device: backend })
      ACTIONS.affine ??= await loadExecutable(
        ACTIONS.device,
        programRunnable(programs.affine(64)),
        new DeviceWeights(ACTIONS.device, programs.emptyCheckpoint),
      )
      const inputs = { x: [new Float32Array(64)] }
      await ACTIONS.affine.run({ rows: 1, inputs, outputs: { y: [new Float32Array(64)] } })
      await ACTIONS.affine.run({ rows: 1, inputs, outputs: { y: [new Float32Array(63)] } }).catch(() => undefined)
      const controller = new AbortController()
      const aborted = ACTIONS.affine.run({
        rows: 1,
        inputs,
        outputs: { y: [new Float32Array(64)] },
        signal: controller.signal,
      })
      controller.abort()
      await aborted.catch(() => undefined)
    },
  ],
  /** Files that are no safetensors. */
  files: [3000, async () => void (await readSafetensorsIndex(__filename).catch(() => undefined))],
  /** Workers terminated in the middle of a run. */
  workers: [
    12,
    async (backend) => {
      const worker = new Worker(path.join(__dirname, 'victim.cjs'), { workerData: backend })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      await worker.terminate()
    },
  ],
}

async function settle() {
  for (let i = 0; i < 4; i++) {
    global.gc()
    await new Promise(setImmediate)
  }
  // V8 sizes its own heap as it likes.
  const { rss, heapTotal } = process.memoryUsage()
  return rss - heapTotal
}

async function main(backend, what) {
  const [count, act] = ACTIONS[what]
  const round = async () => {
    for (let i = 0; i < count; i++) await act(backend)
    return settle()
  }
  await round()
  const warm = await round()
  await round()
  const after = await round()
  console.log(JSON.stringify({ count: 2 * count, growthBytes: after - warm }))
}

void main(process.argv[2], process.argv[3])
