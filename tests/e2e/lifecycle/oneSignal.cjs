/** Many calls on one AbortSignal, completed and a thousand aborted; prints what became of them and every warning. */
const { getEventListeners } = require('node:events')
const { openEngine, stepsFor } = require('./engine.cjs')

const CALLS = 1000

async function main(backend, completedCalls) {
  const warnings = []
  process.on('warning', (warning) => warnings.push(`${warning.name}: ${warning.message}`))
  const short = await openEngine({ backend, steps: 1, small: true })
  const long = await openEngine({ backend, steps: await stepsFor(backend, 50) })

  const completed = new AbortController()
  const done = Array.from({ length: completedCalls }, () => short.run(1, completed.signal))
  const listenersWhilePending = getEventListeners(completed.signal, 'abort').length
  await Promise.all(done)

  const aborted = new AbortController()
  const given = Array.from({ length: CALLS }, () => long.run(1, aborted.signal))
  const settled = Promise.allSettled(given)
  await new Promise((resolve) => setTimeout(resolve, 20))
  const started = performance.now()
  aborted.abort('enough')
  const results = await settled
  const abortMs = performance.now() - started
  await new Promise((resolve) => setTimeout(resolve, 50))
  console.log(
    JSON.stringify({
      listenersWhilePending,
      listenersAfter: [completed, aborted].map(({ signal }) => getEventListeners(signal, 'abort').length),
      aborted: results.filter(({ reason }) => reason?.code === 'ABORT_ERR' && reason.cause === 'enough').length,
      fulfilled: results.filter(({ status }) => status === 'fulfilled').length,
      abortMs,
      warnings,
    }),
  )
}

void main(process.argv[2], Number(process.argv[3]))
