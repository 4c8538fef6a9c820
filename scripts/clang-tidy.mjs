/** Runs clang-tidy over native code outside the kernel families (their vector extensions are GCC's business). */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { root } from './native.mjs'

const command = ['clang-tidy', 'clang-tidy-14', 'clang-tidy-18'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
)
const folder = ['build', 'build-dev'].find((name) => existsSync(path.join(root, name, 'compile_commands.json')))
if (!command || !folder) {
  console.log(
    `clang-tidy: skipped, ${command ? 'nothing built yet (npm run build)' : 'not installed (sudo apt-get install clang-tidy)'}`,
  )
  process.exit(0)
}
const asked = process.argv.slice(2).map((file) => path.resolve(file))
const sources = JSON.parse(readFileSync(path.join(root, folder, 'compile_commands.json'), 'utf8'))
  .map(({ file }) => file)
  .filter((file) => /native\/(core|addon|cpu\/reference)\//.test(file) || /native\/cpu\/[a-z_]+\.cc$/.test(file))
  .filter((file) => !/_(avx2|avx512|amx|portable)\.cc$/.test(file))
  .filter((file) => asked.length === 0 || asked.includes(file))
const { status } = spawnSync(
  command,
  ['-p', folder, '--quiet', '--extra-arg=-Wno-unknown-warning-option', ...sources],
  { cwd: root, stdio: 'inherit' },
)
console.log(`clang-tidy: ${sources.length} files`)
process.exit(status ?? 1)
