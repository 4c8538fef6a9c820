/** The families by the class of pipeline that `model_index.json` names. A new family is one file and one line here. */

import { EngineError } from '../../errors'
import type { Family } from './family'
import { pixart } from './pixart'
import { stableDiffusion } from './stableDiffusion'

const FAMILIES: readonly Family[] = [pixart, stableDiffusion]

/**
 * The family of a pipeline class.
 *
 * @throws {@link EngineError} `unsupported-model` for another one.
 */
export function familyOf(className: string | undefined, where: string): Family {
  const found = FAMILIES.find(({ pipelineClasses }) => className !== undefined && pipelineClasses.includes(className))
  if (found) return found
  const expected = FAMILIES.flatMap(({ pipelineClasses }) => pipelineClasses)
  const got = className ?? 'no model_index.json'
  const message = `${where}: expected one of ${expected.join(', ')}, got ${got}`
  throw new EngineError('unsupported-model', message, { folder: where, expected, got })
}
