/** Shapes: readonly lists of sizes, outermost first. */

/** Sizes of the axes, outermost first. An empty list is a scalar. */
export type Shape = readonly number[]

/** Number of elements. */
export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** Whether two shapes are equal axis by axis. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}

/** `[4, 64, 64]`, as it stands in messages. */
export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`
}
