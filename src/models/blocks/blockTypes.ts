/** Lists of block classes in configs of diffusers: one name per level. */

import { type JsonFields, jsonObject } from '../../weights/jsonFields'

/**
 * @param allowed - the classes that are known.
 * @param fallback - one per level, for configs without the field.
 *
 * Throws `invalid-config` for another number of levels and for other classes.
 */
export function blockTypes<T extends string>(
  fields: JsonFields,
  config: unknown,
  name: string,
  allowed: readonly T[],
  fallback: readonly T[],
): readonly T[] {
  fields.inert(name)
  const given = jsonObject(config, fields.where)[name]
  if (given === undefined) return fallback
  if (!Array.isArray(given) || given.length !== fallback.length)
    return fields.fail(name, `${fallback.length} block types, as many as block_out_channels`)
  return given.map((type) => allowed.find((known) => known === type) ?? fields.fail(name, allowed.join(' or '), type))
}
