/** Life in a process: workers, sudden ends, one signal for many calls, the event loop, the collector. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { beforeAll, describe, expect, it } from 'vitest'

const folder = path.join(__dirname, 'lifecycle')
const dist = process.env.IRODORI_DIST ?? path.resolve(__dirname, '../../dist')
const sanitized = (process.env.LD_PRELOAD ?? '').includes('asan')

interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly out: string
  readonly err: string
}

function start(
  script: string,
  args: readonly string[],
  flags: readonly string[] = [],
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [...flags, path.join(folder, script), ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout?.on('data', (text) => {
    out += text
  })
  child.stderr?.on('data', (text) => {
    err += text
  })
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, out, err }))
  return { child, ended }
}

const run = (...args: Parameters<typeof start>) => start(...args).ended

async function line(child: ChildProcess, wanted: string): Promise<void> {
  if (!child.stdout) throw new Error('expected a pipe')
  for await (const text of createInterface({ input: child.stdout })) if (text === wanted) return
  throw new Error(`expected the child to say ${wanted}`)
}

const lastLine = (out: string) => JSON.parse(out.trim().split('\n').at(-1) ?? '')

beforeAll(() => {
  if (!existsSync(path.join(dist, 'bindings', 'index.js'))) throw new Error('run npm run build:ts first')
})

// The chains show the addon at work; `emoji` adds tokenizer, sampler, several networks and the encoding of pictures.
describe.each(['reference', 'cpu', 'emoji'])('on %s', (backend) => {
  // Whole pictures take so long that fewer must do.
  const [victims, completed] = backend === 'emoji' ? [40, 200] : [100, 1000]

  it(`main thread and four workers go on unharmed while ${victims} workers are terminated mid-run`, {
    timeout: 600_000,
  }, async () => {
    const { code, signal, out, err } = await run('terminate.cjs', [backend, `${victims}`])
    expect({ code, signal, err }).toEqual({ code: 0, signal: null, err: '' })
    const { victims: terminated, runs, wrong } = lastLine(out)
    console.log(`${backend}: ${terminated} terminated, runs meanwhile ${runs}, with other bits ${wrong}`)
    expect(terminated).toBe(victims)
    expect(runs).toHaveLength(5)
    for (const count of runs) expect(count).toBeGreaterThan(0)
    expect(wrong).toBe(0)
  })

  describe.each(['alone', 'workers'])('%s', (company) => {
    it('process.exit() mid-run has its status', async () => {
      expect(await run('ending.cjs', [backend, 'exit', company])).toEqual({ code: 7, signal: null, out: '', err: '' })
    })

    it.each([
      ['throw', 'thrown'],
      ['reject', 'rejected'],
    ])('an uncaught exception mid-run (%s) has its status and message', async (way, word) => {
      const { code, signal, out, err } = await run('ending.cjs', [backend, way, company])
      expect({ code, signal, out }).toEqual({ code: 1, signal: null, out: '' })
      expect(err).toContain(`${word} in the middle of a run`)
    })

    it.each([
      ['sigint', { code: null, signal: 'SIGINT' }],
      ['handled-sigint', { code: 130, signal: null }],
    ])('SIGINT mid-run ends as Node does (%s)', async (way, expected) => {
      const { child, ended } = start('ending.cjs', [backend, way, company])
      await line(child, 'running')
      child.kill('SIGINT')
      const { code, signal, err } = await ended
      expect({ code, signal, err }).toEqual({ ...expected, err: '' })
    })
  })

  it('a thousand calls on one signal: one listener, no warning, all settle at once when it fires', {
    timeout: 600_000,
  }, async () => {
    const { code, out, err } = await run('oneSignal.cjs', [backend, `${completed}`])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const result = lastLine(out)
    console.log(`${backend}: 1,000 aborted calls settled ${result.abortMs.toFixed(1)} ms after the abort`)
    expect(result).toMatchObject({ listenersWhilePending: 1, listenersAfter: [0, 0], warnings: [] })
    expect(result.aborted + result.fulfilled).toBe(1000)
    expect(result.aborted).toBeGreaterThan(990)
  })

  it('idle handles let Node end; a pending job does not', { retry: 2 }, async () => {
    const { code, out, err } = await run('idle.cjs', [backend])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const [done, exit] = out.trim().split('\n')
    expect(done).toMatch(/^done \d+$/)
    expect(exit).toMatch(/^exit \d+$/)
    const [doneMs, exitMs] = [done, exit].map((text) => Number(text?.split(' ')[1]))
    expect((exitMs ?? Number.NaN) - (doneMs ?? Number.NaN)).toBeLessThan(500)
  })

  it.skipIf(backend === 'emoji')('the collector frees what nobody disposed', async () => {
    const { code, out, err } = await run('collect.cjs', [backend], ['--expose-gc'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const { before, full, after, mostBytes, rssGrowth } = lastLine(out)
    console.log(
      `${backend}: buffers ${full.bufferBytes} bytes before collecting, ${after.bufferBytes} after, at most ${mostBytes / 2 ** 20} MiB of 4,096 at a time; RSS of 30 dropped engines ${(rssGrowth / 2 ** 20).toFixed(1)} MiB`,
    )
    expect(full.bufferBytes - before.bufferBytes).toBe(32 * 2 ** 20)
    expect(after.bufferBytes).toBe(before.bufferBytes)
    expect(mostBytes).toBeLessThan(2 ** 30)
    if (!sanitized) expect(rssGrowth).toBeLessThan(64 * 2 ** 20) // a sanitizer keeps freed memory on purpose
  })

  // A sanitized process is slow in ways that say nothing of the event loop.
  it.skipIf(sanitized)('the event loop is within 5 ms of an idle process beside it (p99)', { retry: 2 }, async () => {
    const seconds = '5'
    const children = ['idle', backend].map((mode) => start('loopDelay.cjs', [mode, seconds]))
    await Promise.all(children.map(({ child }) => line(child, 'ready')))
    for (const { child } of children) child.stdin?.write('go\n')
    const [control, busy] = (await Promise.all(children.map(({ ended }) => ended))).map(({ out }) => lastLine(out))
    console.log(
      `${backend}: event-loop delay p99 ${busy.p99} ms over ${busy.runs} runs, idle ${control.p99} ms (p50 ${busy.p50}, ${control.p50})`,
    )
    expect(busy.runs).toBeGreaterThan(5)
    expect(busy.p99 - control.p99).toBeLessThan(5)
  })
})
