/** Checks (or with --write applies) clang-format on all tracked C++ files. */
import { execFileSync, spawnSync } from 'node:child_process'
import { root } from './native.mjs'

const command = ['clang-format', 'clang-format-14', 'clang-format-18'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
)
if (!command) {
  console.log('clang-format: skipped, not installed (sudo apt-get install clang-format)')
  process.exit(0)
}
const sources = execFileSync('git', ['ls-files', '*.cc', '*.h', '*.inc'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter(Boolean)
const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror']
const { status } = sources.length
  ? spawnSync(command, [...mode, ...sources], { cwd: root, stdio: 'inherit' })
  : { status: 0 }
if (status === 0) console.log(`clang-format: ${sources.length} files`)
process.exit(status ?? 1)
