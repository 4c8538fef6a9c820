/** The schedule a model was published with: a diffusers config in its folder, or its family's. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { EngineError } from '../errors'
import { parseSchedulerConfig } from '../samplers/schedules/config'
import { scheduleFromConfig } from '../samplers/schedules/fromConfig'
import type { ModelDescription } from '../weights'

/** A config, tried once so that a bad one is told at loading. */
export interface ModelScheduler {
  readonly config: unknown
  /** Where it is; `undefined` for the family's. */
  readonly file: string | undefined
}

/** Throws `missing-file`, `invalid-config`, `unsupported-model`. */
export async function readScheduler({ path: model, scheduler }: ModelDescription): Promise<ModelScheduler> {
  if (scheduler?.kind === 'published') return { config: scheduler.config, file: undefined }
  const file = scheduler?.file ?? path.join(model, 'scheduler', 'scheduler_config.json')
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new EngineError('missing-file', `scheduler: expected ${file}, got no readable file`, { file, cause })
  })
  const config = parseSchedulerConfig(text)
  scheduleFromConfig(config, 2)
  return { config, file }
}
