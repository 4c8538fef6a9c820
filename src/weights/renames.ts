/** Rename tables: how names in published checkpoints become the names a network asks for. */

/** The first rule whose `from` matches decides; `to` may use `$1`. A rule without `to` drops the tensor as not needed. */
export interface RenameRule {
  readonly from: RegExp
  readonly to?: string | ((...groups: string[]) => string)
}

export type RenameTable = readonly RenameRule[]

/**
 * @returns the new name, the same name when no rule matches, `undefined` when a rule drops it.
 */
export function rename(name: string, table: RenameTable): string | undefined {
  for (const { from, to } of table) {
    const match = from.exec(name)
    if (!match) continue
    if (to === undefined) return undefined
    return typeof to === 'string' ? name.replace(from, to) : name.replace(from, to(...match.slice(1)))
  }
  return name
}
