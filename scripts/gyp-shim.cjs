#!/usr/bin/env node
/** What prebuildify calls in place of node-gyp: `rebuild --target=... --arch=...`, translated for cmake-js. */
const { spawnSync } = require('node:child_process')

const asked = process.argv.slice(2)
const arch = asked.find((argument) => argument.startsWith('--arch='))?.slice('--arch='.length)
const args = [require.resolve('cmake-js/bin/cmake-js'), asked[0] ?? 'rebuild', '--out', 'build', '-l', 'warn']
if (arch) args.push(`--arch=${arch}`)
if (process.env.IRODORI_CMAKE) args.push('--cmake-path', process.env.IRODORI_CMAKE)
process.exit(spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1)
