/** How long a picture takes in a warm process: 512x512, 4 steps with guidance, upscaler and PNG included. */
import { loadPipeline } from 'irodori'

const RUNS = 21
const pipe = await loadPipeline('emoji')
const { arithmetic, threads } = pipe.info.device
const times = []
for (let run = -2; run < RUNS; run++) {
  const started = performance.now()
  const { images } = await pipe.generate({ prompt: 'a rocket', steps: 4, seed: run + 2 })
  await images[0].encode('png')
  if (run >= 0) times.push(performance.now() - started)
}
times.sort((a, b) => a - b)
const at = (share) => `${times[Math.floor(share * (RUNS - 1))].toFixed(0)} ms`
console.log(`${arithmetic}, ${pipe.info.dtype}, ${threads} threads: median ${at(0.5)}, ${at(0.1)} to ${at(0.9)}`)
pipe.dispose()
