/**
 * Runs the tests of the addon under AddressSanitizer and UndefinedBehaviorSanitizer: `node scripts/asan.mjs [vitest arguments]`.
 *
 * Builds the CMake preset `asan` into build-asan/, then runs vitest with the sanitizer's library loaded first, as it must
 * be in a Node that was built without it:
 *   LD_PRELOAD=$(g++ -print-file-name=libasan.so) IRODORI_ADDON=build-asan/Release/irodori.node npx vitest run tests/unit/bindings tests/e2e/lifecycle.test.ts
 * Leaks are not looked for here: Node itself ends without freeing; tests/leak does.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import path from 'node:path'
import { findCMake, root } from './native.mjs'

const cmake = findCMake()
const inherit = { cwd: root, stdio: 'inherit' }

function step(command, args, options = {}) {
  const { status } = spawnSync(command, args, { ...inherit, ...options })
  if (status !== 0) process.exit(status ?? 1)
}

step(cmake, ['--preset', 'asan', '-Wno-dev'])
step(cmake, ['--build', '--preset', 'asan', '--target', 'irodori', '--parallel', '2'])

const compiler = process.env.CXX ?? 'c++'
const library = (name) => execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
const suites = process.argv.slice(2)
step(
  process.execPath,
  [
    path.join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--testTimeout=600000',
    '--maxWorkers=1',
    ...(suites.length > 0 ? suites : ['tests/unit/bindings', 'tests/e2e/lifecycle.test.ts']),
  ],
  {
    env: {
      ...process.env,
      LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
      // V8 reserves address space in ways the defaults take for mistakes; stacks of workers are switched by nobody.
      ASAN_OPTIONS: 'detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=0:exitcode=99',
      UBSAN_OPTIONS: 'print_stacktrace=1',
      IRODORI_ADDON: path.join(root, 'build-asan', 'Release', 'irodori.node'),
    },
  },
)
