/** Drops handles without disposing them; prints native bytes before and after the collector ran. Needs --expose-gc. */
const { openEngine } = require('./engine.cjs')

const turns = async (count) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate)
}

async function main(backend) {
  const keeper = await openEngine({ backend, steps: 2 })
  await keeper.run()
  global.gc()
  await turns(5)
  const memory = () => keeper.device.memory()
  const before = memory()

  const drop = () => {
    for (let i = 0; i < 32; i++) keeper.device.allocate(1 << 20)
  }
  drop()
  const full = memory()
  for (let i = 0; i < 5; i++) {
    global.gc()
    await turns(5)
  }
  const after = memory()

  // V8 is told of native bytes: it collects by itself before much of 4 GiB has piled up.
  let mostBytes = 0
  for (let i = 0; i < 4096; i++) {
    keeper.device.allocate(1 << 20)
    if (i % 16 === 0) await turns(1)
    mostBytes = Math.max(mostBytes, memory().bufferBytes)
  }

  // Whole engines, one still running when it is dropped.
  const rssBefore = process.memoryUsage().rss
  for (let i = 0; i < 30; i++) {
    const engine = await openEngine({ backend, steps: 8 })
    const pending = engine.run()
    if (i % 2) await pending
    if (i % 5 === 0) global.gc()
    await turns(2)
  }
  for (let i = 0; i < 5; i++) {
    global.gc()
    await turns(5)
  }
  console.log(JSON.stringify({ before, full, after, mostBytes, rssGrowth: process.memoryUsage().rss - rssBefore }))
}

void main(process.argv[2])
