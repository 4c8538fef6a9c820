/** A peer's side of the protocol in src/bench/contender.ts: one question a line, one answer a line, until the input ends. */

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/**
 * Answers until nobody asks any more.
 *
 * @param peer - `load(what)` gives what is said of itself, `run(call)` one call's output as Float32Array; calls are
 * `{name: {dtype, shape, data}}` with data as bytes.
 */
export async function takeTurns(peer) {
  for await (const line of createInterface({ input: process.stdin })) {
    let said
    try {
      said = { ok: await answer(peer, JSON.parse(line)) }
    } catch (error) {
      said = { error: String(error?.message ?? error) }
    }
    process.stdout.write(`${JSON.stringify(said)}\n`)
  }
}

async function answer(peer, question) {
  switch (question.do) {
    case 'load': {
      const started = performance.now()
      const about = await peer.load(question)
      return { loadMs: performance.now() - started, about }
    }
    case 'memory': {
      if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024
      // What the system's call says begins with what the parent had.
      const status = readFileSync('/proc/self/status', 'utf8')
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)[1]) * 1024
    }
    case 'output': {
      const call = decode(question.calls[0])
      const started = performance.now()
      const output = await peer.run(call)
      const ms = performance.now() - started
      return { ms, data: Buffer.from(output.buffer, output.byteOffset, output.byteLength).toString('base64') }
    }
    case 'run': {
      const times = []
      for (const call of question.calls.map(decode)) {
        const started = performance.now()
        await peer.run(call)
        times.push(performance.now() - started)
      }
      return times
    }
    default:
      throw new Error(`expected load, run, output or memory, got ${question.do}`)
  }
}

function decode(call) {
  return Object.fromEntries(
    Object.entries(call).map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, data: Uint8Array.from(Buffer.from(data, 'base64')).buffer },
    ]),
  )
}
