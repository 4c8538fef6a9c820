/** Makes prebuilds/<platform>-<arch>/irodori.<libc>.node: prebuildify around cmake-js, through the shim beside this file. */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { checkCompiler, findCMake, root } from './native.mjs'

const require = createRequire(import.meta.url)
checkCompiler()
const { status } = spawnSync(
  process.execPath,
  [
    require.resolve('prebuildify/bin.js'),
    '--napi',
    '--strip',
    '--tag-libc',
    '--node-gyp',
    path.join(root, 'scripts', 'gyp-shim.cjs'),
  ],
  { cwd: root, stdio: 'inherit', env: { ...process.env, IRODORI_CMAKE: findCMake() } },
)
process.exit(status ?? 1)
