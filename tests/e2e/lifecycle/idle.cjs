/** Loads, runs once, and then has nothing to do: Node must end by itself, but not while a job is pending. */
const { openEngine, stepsFor } = require('./engine.cjs')

async function main(backend) {
  const engine = await openEngine({ backend, steps: await stepsFor(backend, 200) })
  await engine.run()
  engine.device?.allocate(1 << 20)
  // Nothing but the job itself holds Node here.
  void engine.run().then(() => console.log(`done ${Math.round(performance.now())}`))
  process.on('exit', () => console.log(`exit ${Math.round(performance.now())}`))
}

void main(process.argv[2])
