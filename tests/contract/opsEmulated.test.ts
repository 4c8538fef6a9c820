/** Every op on kernels whose units this machine may lack, in the addon that emulates them. */

import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'vitest'
import * as bindings from '../../src/bindings'
import { describeOps } from './suite'

const root = path.resolve(__dirname, '../..')
const addon = process.env.IRODORI_ADDON_EMULATED ?? findAddon()

if (addon && existsSync(addon)) {
  process.env.IRODORI_ADDON = addon // read when the first device is opened
  for (const instructions of ['avx512', 'avx512_bf16', 'amx'] as const) {
    describeOps(`emulated ${instructions}`, bindings, { device: 'cpu', instructions, threads: 2 })
  }
} else {
  const reason = 'there is no build-emulated/ and no IRODORI_ADDON_EMULATED'
  console.log(`skipped: contract suite on emulated units: ${reason}`)
  describe.skip(`emulated units (${reason})`, () => test('are not built', () => undefined))
}

function findAddon(): string | undefined {
  const folder = path.join(root, 'build-emulated')
  if (!existsSync(folder)) return undefined
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((file) => file.endsWith('.node'))
  return found && path.join(folder, found)
}
