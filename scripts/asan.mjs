/**
 * Runs the tests of native code under sanitizers:
 *
 *   node scripts/asan.mjs [vitest arguments]   AddressSanitizer and UndefinedBehaviorSanitizer: native unit tests, then
 *                                              the addon's own and the contract of ops
 *   node scripts/asan.mjs --tsan [test name]   ThreadSanitizer: the native tests of the thread team
 *
 * Builds the CMake presets `asan` (build-asan/) and `tsan` (build-tsan/). vitest runs with the sanitizer's library loaded
 * first, as it must be in a Node that was built without it:
 *   LD_PRELOAD=$(g++ -print-file-name=libasan.so) IRODORI_ADDON=build-asan/Release/irodori.node npx vitest run ...
 * Leaks are not looked for here: Node itself ends without freeing; tests/leak does.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import path from 'node:path'
import { findCMake, root } from './native.mjs'

const cmake = findCMake()
const inherit = { cwd: root, stdio: 'inherit' }
const SUITES = ['tests/unit/bindings', 'tests/e2e/lifecycle.test.ts', 'tests/contract/ops.test.ts']
const UBSAN_OPTIONS = 'print_stacktrace=1'

function step(command, args, env = {}) {
  const { status } = spawnSync(command, args, { ...inherit, env: { ...process.env, ...env } })
  if (status !== 0) process.exit(status ?? 1)
}

function build(preset, ...targets) {
  step(cmake, ['--preset', preset, '-Wno-dev'])
  step(cmake, ['--build', '--preset', preset, '--target', ...targets, '--parallel', process.env.JOBS ?? '2'])
}

const nativeTests = (preset) => path.join(root, `build-${preset}`, 'tests', 'native', 'irodori_native_tests')

if (process.argv[2] === '--tsan') {
  build('tsan', 'irodori_native_tests')
  step(nativeTests('tsan'), [process.argv[3] ?? 'ThreadTeam'], { TSAN_OPTIONS: 'halt_on_error=1' })
} else {
  build('asan', 'irodori', 'irodori_native_tests')
  step(nativeTests('asan'), [], { UBSAN_OPTIONS })
  const compiler = process.env.CXX ?? 'c++'
  const library = (name) => execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
  const suites = process.argv.slice(2)
  const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const chosen = suites.length > 0 ? suites : SUITES
  step(process.execPath, [vitest, 'run', '--testTimeout=600000', '--maxWorkers=1', ...chosen], {
    LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
    // V8 reserves address space in ways the defaults take for mistakes; stacks of workers are switched by nobody.
    ASAN_OPTIONS: 'detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=0:exitcode=99',
    UBSAN_OPTIONS,
    IRODORI_ADDON: path.join(root, 'build-asan', 'Release', 'irodori.node'),
  })
}
