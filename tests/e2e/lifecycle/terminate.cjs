/**
 * The main thread and four workers run in loops while a number of other workers are terminated in the middle of a run.
 * Prints how many runs were made and how many gave other bits than expected.
 */
const { isMainThread, parentPort, Worker, workerData } = require('node:worker_threads')
const { bits, openEngine, stepsFor } = require('./engine.cjs')

async function steady(engine, expected, ended) {
  const seen = { runs: 0, wrong: 0 }
  while (!ended()) {
    const seed = 1 + (seen.runs % expected.length)
    const got = bits(await engine.run(seed))
    seen.runs += 1
    if (got !== expected[seed - 1]) seen.wrong += 1
  }
  return seen
}

async function main(backend, victims) {
  const steps = await stepsFor(backend, 20)
  const engine = await openEngine({ backend, steps })
  const expected = []
  for (const seed of [1, 2, 3]) expected.push(bits(await engine.run(seed)))

  const workers = Array.from(
    { length: 4 },
    () => new Worker(__filename, { workerData: { role: 'steady', backend, steps, expected } }),
  )
  const exits = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)))
  const reports = workers.map(
    (worker) => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
  )
  let ended = false
  const own = steady(engine, expected, () => ended)

  const victim = async (index) => {
    const worker = new Worker(__filename, { workerData: { role: 'victim', backend, steps: steps * 50 } })
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await new Promise((resolve) => setTimeout(resolve, (index * 7) % 30))
    await worker.terminate()
  }
  let next = 0
  const lines = Array.from({ length: 2 }, async () => {
    while (next < victims) await victim(next++)
  })
  await Promise.all(lines)

  ended = true
  for (const worker of workers) worker.postMessage('end')
  const all = [await own, ...(await Promise.all(reports))]
  await Promise.all(exits)
  engine.dispose()
  console.log(
    JSON.stringify({
      victims,
      runs: all.map(({ runs }) => runs),
      wrong: all.reduce((sum, { wrong }) => sum + wrong, 0),
    }),
  )
}

async function worker({ role, backend, steps, expected }) {
  const engine = await openEngine({ backend, steps })
  if (role === 'victim') {
    // More than one: some wait in the queue when the end comes.
    const runs = [engine.run(1), engine.run(2), engine.run(3)]
    parentPort.postMessage('running')
    await Promise.all(runs)
    return
  }
  let ended = false
  parentPort.once('message', () => {
    ended = true
  })
  parentPort.postMessage(await steady(engine, expected, () => ended))
}

void (isMainThread ? main(process.argv[2], Number(process.argv[3])) : worker(workerData))
