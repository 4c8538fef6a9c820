/**
 * Packs the tarball, installs it with scripts off in an empty folder whose PATH has no compiler and no CMake, and draws
 * pictures there: by the command, by require, by import, and by both in one process.
 *
 * Needs the npm registry for the dependencies. `--reuse` takes the prebuilt binary that is there.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..')
const MAX_TARBALL_BYTES = 60e6
const work = mkdtempSync(path.join(os.tmpdir(), 'irodori-package-'))
const say = (text) => console.log(`package: ${text}`)

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26, ...options })
  assert.equal(result.error, undefined, String(result.error))
  assert.equal(result.status, 0, `${command} ${args.join(' ')}\n${result.stdout}\n${result.stderr}`)
  return result.stdout
}

/** A folder to be the whole PATH: node, npm, npx and the shell they call. */
function barePath() {
  const folder = path.join(work, 'bin')
  mkdirSync(folder)
  const find = (name) => {
    const places = [path.dirname(process.execPath), ...(process.env.PATH ?? '').split(path.delimiter)]
    const found = places.map((place) => path.join(place, name)).find((file) => existsSync(file))
    assert.ok(found, `${name} is not on the PATH`)
    return realpathSync(found)
  }
  symlinkSync(process.execPath, path.join(folder, 'node'))
  for (const name of ['npm', 'npx', 'sh']) symlinkSync(find(name), path.join(folder, name))
  for (const tool of ['cc', 'c++', 'gcc', 'g++', 'clang', 'cmake', 'make', 'ninja']) {
    assert.equal(existsSync(path.join(folder, tool)), false)
  }
  return folder
}

function checkFiles(files) {
  const paths = files.map(({ path: file }) => file)
  const binaries = paths.filter((file) => file.endsWith('.node'))
  assert.equal(binaries.length, 1, `expected one .node file, got ${binaries.join(', ') || 'none'}`)
  assert.match(binaries[0], new RegExp(`^prebuilds/${process.platform}-${process.arch}/irodori\\..*node$`))
  for (const wanted of [
    'package.json',
    'README.md',
    'LICENSE',
    'dist/index.js',
    'dist/index.mjs',
    'dist/index.d.mts',
    'dist/cli/main.js',
    'models/emoji/model_index.json',
    'models/emoji/labels.json',
    'models/emoji/MODEL_CARD.md',
  ]) {
    assert.ok(paths.includes(wanted), `expected ${wanted} in the tarball`)
  }
  const strays = paths.filter((file) => !/^(dist|prebuilds|models)\/|^[^/]+\.(md|json)$|^(LICENSE|NOTICE)$/.test(file))
  assert.deepEqual(strays, [], 'files that do not belong into the tarball')
  assert.deepEqual(
    paths.filter((file) => /\.(test\.js|cc|h|ts)$/.test(file) && !/\.d\.[mc]?ts$/.test(file)),
    [],
  )
}

try {
  if (!process.argv.includes('--reuse')) run('npm', ['run', 'prebuild'], { cwd: root, stdio: 'inherit' })
  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work], { cwd: root }),
  )
  checkFiles(packed.files)
  const tarball = path.join(work, packed.filename)
  const { size } = statSync(tarball)
  assert.ok(size < MAX_TARBALL_BYTES, `expected less than ${MAX_TARBALL_BYTES} bytes, got ${size}`)
  say(`${packed.filename}: ${packed.files.length} files, ${(size / 1e6).toFixed(1)} MB`)

  const app = path.join(work, 'app')
  mkdirSync(app)
  writeFileSync(path.join(app, 'package.json'), '{ "name": "app", "private": true }\n')
  const { IRODORI_ADDON: _, ...inherited } = process.env
  const env = { ...inherited, PATH: barePath(), NODE_PATH: '' }
  const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', tarball]
  run('npm', install, { cwd: app, env })
  say('installed with scripts off and no compiler on the PATH')

  const json = run(
    'npx',
    ['--no-install', 'irodori', 'generate', '赤いりんご', '-o', 'apple.png', '--seed', '7', '--json'],
    { cwd: app, env },
  )
  const { images } = JSON.parse(json)
  assert.deepEqual(images, [{ file: 'apple.png', width: 512, height: 512, seed: 7 }])
  const png = readFileSync(path.join(app, 'apple.png'))
  assert.equal(png.subarray(1, 4).toString('latin1'), 'PNG')
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [512, 512])
  say(`npx irodori generate: apple.png, ${png.length} bytes`)

  // Nothing is disposed: an idle pipeline must not keep the process alive.
  const body = `
    const draw = async ({ loadPipeline }) => {
      const pipe = await loadPipeline('emoji')
      const { images } = await pipe.generate({ prompt: 'a rocket', steps: 2, seed: 1 })
      await images[0].save('rocket.webp')
      return require('node:crypto').createHash('sha256').update(images[0].data).digest('hex')
    }`
  writeFileSync(
    path.join(app, 'common.cjs'),
    `${body}
    draw(require('irodori')).then((hash) => console.log(hash))`,
  )
  writeFileSync(
    path.join(app, 'module.mjs'),
    `import { createRequire } from 'node:module'
    import * as irodori from 'irodori'
    import { createSampler } from 'irodori/samplers'
    const require = createRequire(import.meta.url)
    ${body}
    const common = require('irodori')
    if (common.EngineError !== irodori.EngineError) throw new Error('two instances of one package')
    if (require('irodori/samplers').createSampler !== createSampler) throw new Error('two instances of samplers')
    console.log(await draw(irodori))`,
  )
  const hashes = ['common.cjs', 'module.mjs'].map((file) => run('node', [file], { cwd: app, env }).trim())
  assert.match(hashes[0], /^[0-9a-f]{64}$/)
  assert.equal(hashes[0], hashes[1], 'require and import draw the same picture')
  assert.ok(readdirSync(app).includes('rocket.webp'))
  say('require and import: one instance, the same picture')
} finally {
  rmSync(work, { recursive: true, force: true })
}
