/** The networks of the goldens as graphs of small size, with their checkpoints. */

import type { Graph } from '../../src/graph/graph'
import { modelDefinition, type Sizes } from '../../src/models'
import { type Checkpoint, findComponent, openCheckpoint, openModelFolder, rename } from '../../src/weights'
import { type GoldenCase, goldenCases, readHeader } from '../golden/cases'

/** One golden per network and configuration. */
export const goldenNetworks: readonly GoldenCase[] = goldenCases().filter(
  (golden, index, all) =>
    index === all.findIndex((other) => other.folder === golden.folder && other.component === golden.component),
)

/**
 * The network at the smallest sizes it takes, with five tokens of text; at twice those sizes where group norms over the
 * few channels of one pixel would make much of rounding errors.
 */
export async function goldenGraph(
  golden: GoldenCase,
): Promise<{ readonly graph: Graph; readonly checkpoint: Checkpoint }> {
  const source = await findComponent(await openModelFolder(golden.folder), golden.component)
  const definition = modelDefinition(source.className ?? '', source.config)
  const place = { component: source.name, ...(source.part ? { part: source.part } : {}) }
  const ports = definition.ports(source.config, place)
  const table = definition.renames(source.config, place)
  const wanted = ports.outputs.filter((port) => !port.onDemand).map((port) => port.name)
  const build = (times: number): Graph => {
    const sizes: Sizes = Object.fromEntries(
      Object.entries(ports.smallest).map(([axis, size]) => [axis, axis === 'textLength' ? 5 : times * size]),
    )
    return definition.build(source.config, place, sizes, wanted).graph
  }
  const smallest = build(1)
  const grouped = smallest.values.some(({ origin }) => origin.kind === 'op' && origin.op === 'group_norm')
  return {
    graph: grouped ? build(2) : smallest,
    checkpoint: await openCheckpoint(source.weights.files, {
      readIndex: readHeader,
      rename: (name) => rename(name, table),
    }),
  }
}
