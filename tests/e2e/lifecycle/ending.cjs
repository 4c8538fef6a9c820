/** Ends in the middle of a run, in the way the second argument says; workers run too when the third is "workers". */
const { isMainThread, Worker, workerData } = require('node:worker_threads')
const { openEngine } = require('./engine.cjs')

const [, , backend = workerData, way, company] = process.argv

async function main() {
  const engine = await openEngine({ backend, steps: 4000 })
  const runs = [engine.run(1), engine.run(2), engine.run(3)]
  if (!isMainThread) {
    await Promise.all(runs)
    return
  }
  if (company === 'workers') {
    for (let i = 0; i < 2; i++) new Worker(__filename, { workerData: backend })
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  await new Promise((resolve) => setTimeout(resolve, 30))
  switch (way) {
    case 'exit':
      process.exit(7)
      break
    case 'throw':
      setImmediate(() => {
        throw new Error('thrown in the middle of a run')
      })
      break
    case 'reject':
      void Promise.reject(new Error('rejected in the middle of a run'))
      break
    case 'handled-sigint':
      process.on('SIGINT', () => process.exit(130))
      console.log('running')
      break
    case 'sigint':
      console.log('running')
      break
    default:
      throw new Error(`unknown way ${way}`)
  }
  await Promise.all(runs)
  console.log('ended by itself')
}

void main()
