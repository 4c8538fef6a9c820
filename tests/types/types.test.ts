/** The built declarations compile for both kinds of modules, and refuse what must be refused. */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { expect, it } from 'vitest'

const root = path.resolve(__dirname, '..', '..')

it('public types compile from .mts and .cts', () => {
  const built = ['index.d.ts', 'index.d.mts'].map((file) => existsSync(path.join(root, 'dist', file)))
  expect(built, 'run npm run build:ts first').toEqual([true, true])
  const typescript = path.dirname(createRequire(__filename).resolve('typescript/package.json'))
  const tsc = path.join(typescript, 'bin', 'tsc')
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', path.join(__dirname, 'tsconfig.json')], {
    encoding: 'utf8',
  })
  expect(stdout).toBe('')
  expect(status).toBe(0)
})

it('docs/api.md is what the declarations say', () => {
  const script = path.join(root, 'scripts', 'api-report.mjs')
  const { stderr, status } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
})
