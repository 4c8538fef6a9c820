/** Checks the layer order of src/ and native/: a folder imports only from earlier ones, and no file imports in a cycle. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')

/** Folder -> layer; a folder may import itself, lower layers, and nothing else. */
const TYPESCRIPT = {
  tensor: 0,
  weights: 1,
  text: 1,
  graph: 1,
  models: 2,
  samplers: 2,
  compile: 3,
  bindings: 4,
  scheduler: 5,
  pipelines: 6,
  images: 6,
  hub: 6,
  bench: 7,
  server: 7,
  queue: 7,
  cli: 8,
}
/** Imports within one layer that the design allows. */
const SIBLINGS = { pipelines: ['images', 'hub'] }
/** Files that stand below every folder, and the public face above them all. */
const BOTTOM = ['errors']
const TOP = ['index']

const NATIVE = { core: 0, cpu: 1, cuda: 1, neuron: 1, addon: 2 }

const problems = []

function files(folder, extensions) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name)
    if (entry.isDirectory()) return files(full, extensions)
    return extensions.some((extension) => entry.name.endsWith(extension)) ? [full] : []
  })
}

const imports = new Map()
for (const file of files(path.join(root, 'src'), ['.ts', '.mts'])) {
  const relative = path.relative(path.join(root, 'src'), file)
  const folder = relative.includes(path.sep) ? relative.split(path.sep)[0] : path.parse(relative).name
  const targets = []
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(/(?:from|import|require\()\s*'(\.[^']*)'/g)) {
    const target = path.relative(path.join(root, 'src'), path.resolve(path.dirname(file), specifier))
    targets.push(target)
    const to = target.includes(path.sep) ? target.split(path.sep)[0] : target.replace(/\.(js|mjs)$/, '')
    if (BOTTOM.includes(to) || TOP.includes(folder) || to === folder) continue
    const [from, below] = [TYPESCRIPT[folder], TYPESCRIPT[to]]
    if (from === undefined && !BOTTOM.includes(folder))
      problems.push(`src/${relative}: folder "${folder}" has no layer in scripts/check-layers.mjs`)
    else if (below === undefined) problems.push(`src/${relative}: imports "${specifier}", whose folder has no layer`)
    else if (!(below < (from ?? -1)) && !(SIBLINGS[folder] ?? []).includes(to)) {
      problems.push(`src/${relative}: layer ${from} (${folder}) imports layer ${below} (${to}) by "${specifier}"`)
    }
  }
  imports.set(
    relative.replace(/\.m?ts$/, ''),
    targets.map((target) => target.replace(/\.(js|mjs)$/, '')),
  )
}

// Cycles, type-only imports included: what cannot be read in one direction is not in layers.
const state = new Map()
function visit(file, trail) {
  if (state.get(file) === 'done') return
  if (state.get(file) === 'open') {
    problems.push(`cycle: ${[...trail.slice(trail.indexOf(file)), file].join(' -> ')}`)
    return
  }
  state.set(file, 'open')
  for (const target of imports.get(file) ?? []) {
    for (const resolved of [target, path.join(target, 'index')])
      if (imports.has(resolved)) visit(resolved, [...trail, file])
  }
  state.set(file, 'done')
}
for (const file of imports.keys()) visit(file, [])

for (const file of files(path.join(root, 'native'), ['.cc', '.h', '.inc', '.cu'])) {
  const relative = path.relative(root, file)
  const folder = relative.split(path.sep)[1]
  for (const [, included] of readFileSync(file, 'utf8').matchAll(/#include "native\/([a-z_]+)\//g)) {
    if (NATIVE[included] === undefined || (included !== folder && NATIVE[included] >= NATIVE[folder])) {
      problems.push(`${relative}: ${folder} includes native/${included}`)
    }
  }
  if (folder !== 'addon' && /#include <(napi|node_api|js_native_api)/.test(readFileSync(file, 'utf8'))) {
    problems.push(`${relative}: N-API outside native/addon`)
  }
}

const FORBIDDEN = /^(utils?|helpers?|common|misc|manager)\.(ts|mts|cc|h|inc|py|mjs)$/
for (const folder of ['src', 'native', 'tests', 'scripts', 'bench', 'training']) {
  for (const file of files(path.join(root, folder), ['.ts', '.mts', '.cc', '.h', '.inc', '.py', '.mjs'])) {
    if (FORBIDDEN.test(path.basename(file))) problems.push(`${path.relative(root, file)}: a name that says nothing`)
    if (/training\/runs/.test(file)) continue
    const lines = readFileSync(file, 'utf8').split('\n').length
    if (lines > 800) problems.push(`${path.relative(root, file)}: ${lines} lines, 800 is the limit`)
  }
}

if (problems.length > 0) {
  console.error(problems.join('\n'))
  console.error(`layers: ${problems.length} problem(s)`)
  process.exit(1)
}
console.log(`layers: ${imports.size} TypeScript files and native/ are in order`)
