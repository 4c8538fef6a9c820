/** Writes the ESM side of every subpath export: a module that re-exports the CommonJS one, so that both are one instance. */
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const require = createRequire(import.meta.url)
const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

for (const [subpath, conditions] of Object.entries(exports)) {
  if (typeof conditions === 'string') continue
  const common = path.join(root, conditions.require.default)
  const wrapper = path.join(root, conditions.import.default)
  const specifier = `./${path.relative(path.dirname(wrapper), common).split(path.sep).join('/')}`
  const names = Object.keys(require(common)).sort()
  if (names.length === 0) throw new Error(`${subpath}: expected exports in ${common}, got none`)
  const head = `/** The same instance as the CommonJS module; written by scripts/esm-wrappers.mjs. */\n`
  const lines = names.map((name) => `export const ${name} = module.${name}`)
  writeFileSync(wrapper, `${head}import module from '${specifier}'\n\n${lines.join('\n')}\n`)
  writeFileSync(path.join(root, conditions.import.types), `export * from '${specifier}'\n`)
}
