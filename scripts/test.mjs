/** `npm test`: checks, builds what tests need, runs every suite that can run here, and says what was skipped and why. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { buildNative, findCMake, root } from './native.mjs'

const skips = new Set()
const failures = []
const details = []

/** Runs a command, shows what it says, and keeps the lines that tell of something skipped. */
async function step(title, command, args) {
  console.log(`\n=== ${title}`)
  const started = Date.now()
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = new Promise((resolve) => {
    child.once('close', resolve).once('error', ({ message }) => resolve(message))
  })
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line)
    const skip = /(?:^|\s)(\S.*: )?skipped(?:: |, | family )(.+)/.exec(stripColours(line))
    if (skip) skips.add(`${skip[1] ?? ''}${skip[2]}`)
  }
  const status = await closed
  const verdict = status === 0 ? 'ok' : `FAILED (${status})`
  console.log(`=== ${title}: ${verdict} in ${((Date.now() - started) / 1000).toFixed(0)} s`)
  if (status !== 0) failures.push(title)
}

/** A suite whose failed tests are told again at the end, where a cut log still shows them. */
async function vitest(title, args) {
  const report = path.join(mkdtempSync(path.join(tmpdir(), 'irodori-test-')), 'report.json')
  await step(title, bin('vitest'), [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...args,
  ])
  const files = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).testResults : []
  rmSync(path.dirname(report), { recursive: true })
  for (const { name, status, message, assertionResults } of files) {
    if (status === 'passed') continue
    const file = path.relative(root, name)
    const failed = assertionResults.filter((test) => test.status === 'failed')
    if (failed.length === 0) details.push(`${file}: ${message}`)
    for (const test of failed)
      details.push(`${file}: ${test.fullName}\n${test.failureMessages.join('\n').slice(0, 1500)}`)
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours begin with one
const stripColours = (line) => line.replace(/\x1b\[[0-9;]*m/g, '')

/** Whether this machine has units that the emulated build only imitates. */
function hasWideUnits() {
  const cpuinfo = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : ''
  return /\b(avx512f|amx_bf16)\b/.test(cpuinfo)
}

const node = process.execPath
const bin = (name) => path.join(root, 'node_modules', '.bin', name)
const nativeTests = (build) => path.join(root, build, 'tests', 'native', 'irodori_native_tests')
const quick = process.argv.includes('--quick')
const timed = ['tests/e2e/lifecycle.test.ts', 'tests/leak/leak.test.ts']

await step('layers', node, ['scripts/check-layers.mjs'])
await step('types', bin('tsc'), ['-p', 'tests/tsconfig.json'])
await step('format and lint', bin('biome'), ['check', '.'])
await step('C++ format', node, ['scripts/clang-format.mjs'])
await step('build', node, ['scripts/build.mjs'])
if (quick) skips.add('emulated AVX-512 and AMX kernels, native unit tests, package test: --quick')
else {
  console.log('\n=== emulated units')
  buildNative('build-emulated', { IRODORI_EMULATED_UNITS: 'ON', IRODORI_TESTS: 'ON' })
  await step('native unit tests, emulated units', nativeTests('build-emulated'), [])
  if (hasWideUnits()) {
    await step('build of native unit tests', findCMake(), ['-B', 'build', '-DIRODORI_TESTS=ON'])
    await step('build of native unit tests', findCMake(), ['--build', 'build', '--target', 'irodori_native_tests'])
    await step('native unit tests, real units', nativeTests('build'), [])
  } else skips.add('native unit tests on real AVX-512 or AMX units: this processor has none')
}
await vitest(
  'vitest',
  timed.flatMap((file) => ['--exclude', file]),
)
// Alone: they measure delays and memory, which busy neighbours would disturb.
await vitest('vitest, life in a process', ['--maxWorkers=1', ...timed])
if (!quick) await step('packed tarball', node, ['tests/package/run.mjs'])

console.log(skips.size === 0 ? '\nnothing was skipped' : '')
for (const skip of skips) console.log(`skipped: ${skip}`)
if (failures.length > 0) {
  for (const detail of details) console.error(`\n${stripColours(detail)}`)
  console.error(`\nFAILED: ${failures.join(', ')}`)
  process.exit(1)
}
console.log('\nall suites passed')
