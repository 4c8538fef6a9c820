/** Writes docs/api.md, the public declarations with their comments, from dist/; `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..')
const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
const read = (file) => readFileSync(file, 'utf8')

/** Names a declaration file exports, each with the file that declares it and its name there. */
function exported(file) {
  const text = read(file)
  const found = new Map()
  for (const [, list, from] of text.matchAll(/export (?:type )?\{([^}]*)\} from '([^']+)'/g)) {
    for (const item of list.split(',').map((part) => part.trim().replace(/^type /, ''))) {
      if (item === '') continue
      const [name, alias = name] = item.split(' as ')
      const next = exported(resolve(file, from)).get(name)
      if (next) found.set(alias, next)
    }
  }
  for (const [, from] of text.matchAll(/export \* from '([^']+)'/g)) {
    for (const [name, place] of exported(resolve(file, from))) found.set(name, place)
  }
  for (const [, name] of text.matchAll(
    /^export (?:declare )?(?:abstract )?(?:interface|type|class|function|const) (\w+)/gm,
  )) {
    found.set(name, { file, name })
  }
  return found
}

function resolve(file, specifier) {
  const base = path.resolve(path.dirname(file), specifier)
  for (const candidate of [`${base}.d.ts`, path.join(base, 'index.d.ts')]) {
    try {
      read(candidate)
      return candidate
    } catch {
      // the other one
    }
  }
  throw new Error(`${file}: expected declarations for ${specifier}, found none`)
}

/** A declaration and the comment above it. */
function declaration({ file, name }) {
  const lines = read(file).split('\n')
  const at = lines.findIndex((line) =>
    new RegExp(`^export (?:declare )?(?:abstract )?(?:interface|type|class|function|const) ${name}\\b`).test(line),
  )
  let start = at
  if (lines[at - 1]?.endsWith('*/')) while (!lines[--start].startsWith('/**'));
  let end = at
  const open = (text) => (text.match(/[{[(]/g) ?? []).length - (text.match(/[}\])]/g) ?? []).length
  const code = (line) =>
    line
      .replace(/\/\*\*.*?\*\//g, '')
      .replace(/^\s*(\/\*\*|\*).*$/, '')
      .replace(/'[^']*'/g, '')
  // A union of object types has lines that end in a brace and go on; only interfaces and classes end in one.
  const last = /^export (?:declare )?(?:abstract )?(?:interface|class) /.test(lines[at]) ? /}$/ : /;$/
  for (let depth = open(code(lines[at])); depth > 0 || !last.test(code(lines[end])); depth += open(code(lines[++end])));
  return lines
    .slice(start, end + 1)
    .join('\n')
    .replace(/^ {4}/gm, '  ')
    .replace(/^export (declare )?/gm, '')
    .replace(/;$/gm, '')
}

const parts = [
  '# API',
  '',
  'The public declarations with their comments, written by `node scripts/api-report.mjs` after a build.',
]
for (const [subpath, conditions] of Object.entries(exports)) {
  if (typeof conditions === 'string') continue
  const names = [...exported(path.join(root, conditions.require.types))].sort(([a], [b]) => (a < b ? -1 : 1))
  parts.push('', `## \`${path.posix.join('irodori', subpath)}\``, '', '```ts')
  parts.push(names.map(([, place]) => declaration(place)).join('\n\n'), '```')
}
const file = path.join(root, 'docs', 'api.md')
const report = `${parts.join('\n')}\n`
if (!process.argv.includes('--check')) writeFileSync(file, report)
else if (read(file) !== report) {
  console.error(
    'docs/api.md: expected the declarations of dist/, got older ones; run node scripts/api-report.mjs and add a line to CHANGELOG.md',
  )
  process.exit(1)
}
