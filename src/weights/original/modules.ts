/** Modules by their two names: in the code a checkpoint was trained with, and in diffusers. */

/** A module whose tensors keep the ends of their names, `.weight` or `.norm1.bias`. */
export interface ModuleNames {
  readonly original: string
  readonly diffusers: string
}

/** Whether a tensor of that name is there. */
export type HasTensor = (name: string) => boolean

/**
 * A function from a tensor's original name to diffusers'; `undefined` for tensors of other modules.
 *
 * The longest module that a name begins with decides.
 */
export function diffusersName(modules: readonly ModuleNames[]): (name: string) => string | undefined {
  const byOriginal = new Map(modules.map(({ original, diffusers }) => [original, diffusers]))
  return (name) => {
    for (let end = name.lastIndexOf('.'); end > 0; end = name.lastIndexOf('.', end - 1)) {
      const module = byOriginal.get(name.slice(0, end))
      if (module !== undefined) return module + name.slice(end)
    }
    return undefined
  }
}

/** Modules within modules: `{original: 'a.x', diffusers: 'b.y'}` for the table's `x: 'y'`. */
export function within(original: string, diffusers: string, table: Readonly<Record<string, string>>): ModuleNames[] {
  return Object.entries(table).map(([from, to]) => ({
    original: `${original}.${from}`,
    diffusers: `${diffusers}.${to}`,
  }))
}

/** How many of something there are, counted from 0 on. */
export function countWhile(holds: (index: number) => boolean): number {
  let count = 0
  while (holds(count)) count += 1
  return count
}
