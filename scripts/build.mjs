/** Builds a checkout: TypeScript to dist/, ESM wrappers, and the addon to build/Release/. `ts` or `native` for one of them. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { buildNative, root } from './native.mjs'

const require = createRequire(import.meta.url)
const what = process.argv[2] ?? 'all'

function node(script, args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

if (what === 'all' || what === 'ts') {
  node(path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc'), ['-p', 'tsconfig.json'])
  node(path.join(root, 'scripts', 'esm-wrappers.mjs'), [])
  const bin = path.join(root, 'dist', 'cli', 'main.js')
  if (existsSync(bin)) chmodSync(bin, 0o755)
}
if (what === 'all' || what === 'native') buildNative('build')
if (what === 'emulated') buildNative('build-emulated', { IRODORI_EMULATED_UNITS: 'ON' })
