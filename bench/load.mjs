/**
 * How long a model takes to load, against reading its files once and writing its weights to fresh memory at memory speed:
 *
 *     node bench/load.mjs MODEL [dtype] [rounds]
 *
 * The three alternate, in processes of their own. The pages of the files are dropped by loading, so that each reading comes
 * from the disk. After `npm run build`.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

const [, , model, dtype = 'f32', rounds = '5', role, bytes] = process.argv
if (!model) throw new Error('expected a model folder or file')

/** Files of weights. */
function filesOf(place) {
  if (!statSync(place).isDirectory()) return [place]
  return readdirSync(place, { recursive: true })
    .filter((name) => name.endsWith('.safetensors'))
    .map((name) => path.join(place, name))
}

const seconds = (since) => (performance.now() - since) / 1000

function readOnce() {
  const piece = Buffer.alloc(8 << 20)
  const started = performance.now()
  for (const name of filesOf(model)) {
    const file = openSync(name)
    while (readSync(file, piece) > 0);
    closeSync(file)
  }
  return { seconds: seconds(started) }
}

/** Two threads write every byte of as much fresh memory: what a conversion does at least. */
async function writeFresh() {
  const half = Math.ceil(Number(bytes) / 2)
  const code = `const { parentPort, workerData } = require('node:worker_threads')
    parentPort.once('message', () => {
      for (let left = workerData; left > 0; left -= 1 << 26) kept.push(Buffer.alloc(Math.min(left, 1 << 26), 1))
      parentPort.postMessage('done')
    })
    const kept = []
    parentPort.postMessage('ready')`
  const workers = [0, 1].map(() => new Worker(code, { eval: true, workerData: half }))
  const news = () => Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
  await news()
  const started = performance.now()
  const written = news()
  for (const worker of workers) worker.postMessage('go')
  await written
  const taken = seconds(started)
  await Promise.all(workers.map((worker) => worker.terminate()))
  return { seconds: taken }
}

async function load() {
  const { loadPipeline } = await import('../dist/index.js')
  const started = performance.now()
  const pipe = await loadPipeline(model, { dtype })
  const taken = seconds(started)
  const { weightsBytes } = pipe.memory()
  pipe.dispose()
  return { seconds: taken, bytes: weightsBytes }
}

if (role) {
  const result = await { readOnce, writeFresh, load }[role]()
  console.log(JSON.stringify(result))
} else {
  const run = (what, size = '') => {
    const args = [fileURLToPath(import.meta.url), model, dtype, rounds, what, `${size}`]
    const { stdout, status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
    return JSON.parse(stdout)
  }
  const ratios = []
  for (let round = 0; round < Number(rounds); round++) {
    const loaded = run('load')
    const least = run('readOnce').seconds + run('writeFresh', loaded.bytes).seconds
    ratios.push(loaded.seconds / least)
    console.log(
      `loaded in ${loaded.seconds.toFixed(2)} s; read once and written ${least.toFixed(2)} s; ${ratios.at(-1).toFixed(2)} x`,
    )
  }
  const middle = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)]
  console.log(`${model}: ${dtype}, median ${middle.toFixed(2)} x of ${ratios.length}`)
}
