/** `npm test`: checks, builds what tests need, runs every suite that can run here, and says what was skipped and why. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { buildNative, root } from './native.mjs'

const notes = []
const failures = []

function step(title, command, args, options = {}) {
  console.log(`\n=== ${title}`)
  const started = Date.now()
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  console.log(`=== ${title}: ${status === 0 ? 'ok' : 'FAILED'} in ${((Date.now() - started) / 1000).toFixed(0)} s`)
  if (status !== 0) failures.push(title)
}

const node = process.execPath
const bin = (name) => path.join(root, 'node_modules', '.bin', name)
const quick = process.argv.includes('--quick')

step('layers', node, ['scripts/check-layers.mjs'])
step('types', bin('tsc'), ['--noEmit', '-p', 'tsconfig.json'])
step('format and lint', bin('biome'), ['check', '.'])
step('C++ format', node, ['scripts/clang-format.mjs'])
step('build', node, ['scripts/build.mjs'])
if (quick) notes.push('emulated AVX-512 and AMX kernels, native unit tests and the package test: skipped by --quick')
else {
  console.log('\n=== emulated units')
  buildNative('build-emulated', { IRODORI_EMULATED_UNITS: 'ON', IRODORI_TESTS: 'ON' })
  step('native unit tests', 'ctest', ['--test-dir', 'build-emulated', '--output-on-failure'])
}
step('vitest', bin('vitest'), ['run'])
if (!quick && existsSync(path.join(root, 'tests/package/run.mjs')))
  step('packed tarball', node, ['tests/package/run.mjs'])

for (const note of notes) console.log(`skipped: ${note}`)
if (failures.length > 0) {
  console.error(`\nFAILED: ${failures.join(', ')}`)
  process.exit(1)
}
console.log('\nall suites passed')
