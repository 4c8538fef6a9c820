/** Checks of stamps: each sees the file as it is after it was asked, however many are asked at once. */

import { utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { fileStamp } from '../../../src/weights/checkpoint'
import { StampChecks } from '../../../src/weights/stampChecks'
import { failure, scratch } from './scratch'

const disk = scratch()

describe('StampChecks', () => {
  it('finds a change that was made before it was asked, while earlier checks are under way', async () => {
    const file = path.join(disk.folder, 'stamped')
    writeFileSync(file, 'one')
    const { stamp } = await fileStamp(file)
    const checks = new StampChecks()
    const before = Array.from({ length: 5 }, () => checks.assertUnchanged({ file, stamp }))
    await Promise.all(before)
    const early = checks.assertUnchanged({ file, stamp }).catch((error: unknown) => error)
    utimesSync(file, 1, 1)
    const late = Array.from({ length: 5 }, () => failure(() => checks.assertUnchanged({ file, stamp })))
    for (const error of await Promise.all(late)) expect(error).toMatchObject({ code: 'io' })
    await early
    expect(await failure(() => checks.assertUnchanged({ file, stamp }))).toMatchObject({ code: 'io' })
    utimesSync(file, 2, 2)
    const again = (await fileStamp(file)).stamp
    await checks.assertUnchanged({ file, stamp: again })
  })

  it('looks at nothing for files that nobody stamped, and says when one is gone', async () => {
    const checks = new StampChecks()
    const file = path.join(disk.folder, 'absent')
    await checks.assertUnchanged({ file })
    const both = [1, 2].map(() => failure(() => checks.assertUnchanged({ file, stamp: 'any' })))
    for (const error of await Promise.all(both)) expect(error).toMatchObject({ code: 'missing-file' })
  })
})
