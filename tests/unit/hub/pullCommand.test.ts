/** `irodori pull` as processes: output for people and machines, two at once, one that is killed. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { main, startCommand } from '../../command'
import { bytes, COMMIT, type FakeHub, REPO, sha256, startFakeHub } from './fakeHub'

const big = bytes(2_000_000)
const WEIGHTS = 'diffusion_pytorch_model.safetensors'

let hub: FakeHub
let home = ''
beforeAll(async () => {
  expect(existsSync(main), 'run npm run build:ts first').toBe(true)
  hub = await startFakeHub({ 'config.json': '{}', [WEIGHTS]: big })
  home = await mkdtemp(path.join(os.tmpdir(), 'irodori-pull-'))
})
afterEach(async () => {
  hub.mischief.clear()
  hub.asked.length = 0
  await rm(path.join(home, 'hub'), { recursive: true, force: true })
})
afterAll(async () => {
  await hub.close()
  await rm(home, { recursive: true, force: true })
})

function start(...args: string[]) {
  const env = { ...process.env, HF_HOME: home, HF_HUB_CACHE: '', HF_TOKEN: '', HF_ENDPOINT: hub.endpoint }
  return startCommand(['pull', ...args], { env })
}

const repo = (...parts: string[]) => path.join(home, 'hub', 'models--owner--name', ...parts)
const sent = () => hub.asked.filter(({ server }) => server === 'cdn').reduce((sum, asked) => sum + asked.sent, 0)

describe('irodori pull', () => {
  it('lists files and says where they are', async () => {
    const { status, stdout, stderr } = await start(REPO).ended
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(`${WEIGHTS}  2.00 MB`)
    expect(stdout).toMatch(/2\.00 MB received in [\d.]+ s, commit a{40}\n/)
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(repo('snapshots', COMMIT))
  })

  it('--json is one document', async () => {
    const { status, stdout, stderr } = await start(REPO, '--json', '--revision', 'v1', '--include', 'config.json').ended
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      repo: REPO,
      revision: 'v1',
      commit: COMMIT,
      folder: repo('snapshots', COMMIT),
      files: [{ path: 'config.json', sizeBytes: 2, cached: false }],
      receivedBytes: 2,
    })
  })

  it('says in one line what is wrong', async () => {
    const missing = await start('owner/other').ended
    expect(missing).toMatchObject({ status: 1, stdout: '' })
    expect(missing.stderr).toMatch(/^irodori: missing-file: owner\/other@main: expected it at .*\n$/)
    const usage = await start(REPO, '--include', '*', '--variant', 'fp16').ended
    expect(usage).toMatchObject({ status: 2, stdout: '' })
  })

  it('two at once bring one file and both end well', async () => {
    hub.mischief.set(WEIGHTS, { pauseMs: 60 })
    const both = await Promise.all([start(REPO, '--json').ended, start(REPO, '--json').ended])
    expect(both.map(({ status, stderr }) => ({ status, stderr }))).toEqual(Array(2).fill({ status: 0, stderr: '' }))
    expect(sent()).toBe(big.length)
    expect(sha256(readFileSync(repo('snapshots', COMMIT, WEIGHTS)))).toBe(sha256(big))
    expect(readdirSync(repo('blobs')).filter((name) => name.endsWith('.incomplete'))).toEqual([])
  })

  it('one that is killed is taken up by the next', async () => {
    hub.mischief.set(WEIGHTS, { pauseMs: 40 })
    const { child, ended } = start(REPO)
    while (sent() < big.length / 4) await sleep(20)
    child.kill('SIGKILL')
    await ended
    expect(readdirSync(repo('blobs'))).toContain(`${sha256(big)}.incomplete`)
    hub.mischief.clear()
    const { status, stdout } = await start(REPO, '--json').ended
    expect(status).toBe(0)
    const { receivedBytes } = JSON.parse(stdout) as { receivedBytes: number }
    expect(receivedBytes).toBeLessThan(big.length)
    expect(receivedBytes).toBeGreaterThan(0)
    expect(sha256(readFileSync(repo('snapshots', COMMIT, WEIGHTS)))).toBe(sha256(big))
  })
})
