/** Measures the event loop's delay for some seconds while runs go on, or idle; prints percentiles in milliseconds. */
const { monitorEventLoopDelay } = require('node:perf_hooks')

async function main(backend, seconds) {
  let ended = false
  let generating = Promise.resolve(0)
  if (backend !== 'idle') {
    const { openEngine, stepsFor } = require('./engine.cjs')
    const engine = await openEngine({ backend, steps: await stepsFor(backend, 50) })
    await engine.run()
    generating = (async () => {
      let runs = 0
      for (; !ended; runs++) await engine.run(runs)
      return runs
    })()
  }
  console.log('ready')
  await new Promise((resolve) => process.stdin.once('data', resolve))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  delay.disable()
  ended = true
  const ms = (ns) => Number((ns / 1e6).toFixed(2))
  const runs = await generating
  console.log(
    JSON.stringify({ runs, p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) }),
  )
  process.stdin.destroy()
}

void main(process.argv[2], Number(process.argv[3]))
