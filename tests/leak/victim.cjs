/** A worker that is terminated while it runs. */
const { parentPort, workerData } = require('node:worker_threads')
const { openEngine } = require('../e2e/lifecycle/engine.cjs')

void (async () => {
  const engine = await openEngine({ backend: workerData, steps: 2000 })
  const runs = [engine.run(1), engine.run(2)]
  parentPort.postMessage('running')
  await Promise.all(runs)
})()
