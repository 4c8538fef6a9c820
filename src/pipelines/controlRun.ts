/**
 * The denoiser steered by ControlNets: each is a network of its own that writes its residuals into buffers on the device,
 * the next adds to them, and the denoiser's controlled form reads them there.
 */

import type { DeviceBuffer, NetworkRow, NetworkState } from '../bindings'
import { DTYPE_BYTES } from '../tensor/dtype'
import { elements } from '../tensor/shape'
import type { NetworkLease } from './componentNetworks'
import type { TextState } from './conditioning'
import type { ControlHint, DenoiserRow } from './denoise'
import type { SessionPlan } from './model'
import { groupsOf } from './network'
import type { PixelSize } from './sizes'
import { type DenoiserParts, latentOf, stateOf, TextLeases } from './textLeases'

/** Buffers of residuals by the name of the input that reads them; one buffer for each row. */
type Residuals = Readonly<Record<string, readonly DeviceBuffer[]>>

/** The graph input that reads an output of a ControlNet. */
const READERS: readonly (readonly [written: RegExp, read: string])[] = [
  [/^down_block_res_samples\.(\d+)$/, 'down_block_additional_residuals.$1'],
  [/^mid_block_res_sample$/, 'mid_block_additional_residual'],
]

const readerOf = (output: string): string =>
  READERS.reduce((name, [written, read]) => name.replace(written, read), output)

export class ControlRun {
  readonly #parts: DenoiserParts
  readonly #cells: PixelSize
  readonly #shared: Readonly<Record<string, Float32Array>>
  readonly #plan: SessionPlan
  readonly #denoiser: TextLeases
  readonly #nets = new Map<string, TextLeases>()
  readonly #buffers: DeviceBuffer[] = []

  constructor(
    parts: DenoiserParts,
    cells: PixelSize,
    shared: Readonly<Record<string, Float32Array>>,
    plan: SessionPlan,
  ) {
    this.#parts = parts
    this.#cells = cells
    this.#shared = shared
    this.#plan = plan
    this.#denoiser = new TextLeases(parts.network, cells, shared, plan, 'controlled')
  }

  /** Outputs of rows whose texts have one length. */
  async run(
    textLength: number,
    rows: readonly DenoiserRow[],
    hints: readonly ControlHint[],
    signal: AbortSignal,
  ): Promise<Float32Array[]> {
    const { lease, states } = await this.#denoiser.get(textLength, signal)
    const made: Float32Array[] = []
    for (const some of groupsOf(rows, lease)) {
      const taken: DeviceBuffer[] = []
      try {
        let residuals: Residuals | undefined
        for (const hint of hints) residuals = await this.#hint(textLength, some, hint, residuals, taken, signal)
        const inputs = some.map((row, i): NetworkRow => {
          const read = Object.entries(residuals ?? {}).flatMap(([name, buffers]) => {
            const buffer = buffers[i]
            return buffer ? [[name, buffer] as const] : []
          })
          const own = latentOf(this.#parts, row)
          return { ...stateOf(states, row), inputs: { ...own, ...Object.fromEntries(read) } }
        })
        for (const { sample = new Float32Array(0) } of await lease.network.run(inputs, { signal, arrays: 'lent' })) {
          made.push(sample)
        }
      } finally {
        this.#buffers.push(...taken)
      }
    }
    return made
  }

  /** Runs one ControlNet over rows; with residuals of others, it gives the sums. */
  async #hint(
    textLength: number,
    rows: readonly DenoiserRow[],
    hint: ControlHint,
    earlier: Residuals | undefined,
    taken: DeviceBuffer[],
    signal: AbortSignal,
  ): Promise<Residuals> {
    const { lease, states } = await this.#net(hint, earlier !== undefined).get(textLength, signal)
    const written = lease.network.outputs.map((port) => {
      const bytes = elements(port.shape) * DTYPE_BYTES.f32
      const buffers = rows.map(() => this.#take(lease, bytes, taken))
      return [port.name, buffers] as const
    })
    const inputs = rows.map((row, i) => controlRow(row, i, states, hint, earlier, lease))
    await lease.network.run(inputs, { signal, arrays: 'lent', outputs: Object.fromEntries(written) })
    return Object.fromEntries(written.map(([name, buffers]) => [readerOf(name), buffers]))
  }

  #net({ net, picture }: ControlHint, adds: boolean): TextLeases {
    const key = `${net} ${adds}`
    const known = this.#nets.get(key)
    if (known) return known
    const network = this.#parts.controlNets[net]
    if (network === undefined) throw new RangeError(`controlNets: expected a net ${net}`)
    const shared = { ...this.#shared, controlnet_cond: picture.data }
    const opened = new TextLeases(network, this.#cells, shared, this.#plan, adds ? 'controlled' : 'plain')
    this.#nets.set(key, opened)
    return opened
  }

  /** A buffer of an earlier evaluation, or a new one. */
  #take({ network }: NetworkLease, bytes: number, taken: DeviceBuffer[]): DeviceBuffer {
    const index = this.#buffers.findIndex(({ sizeBytes }) => sizeBytes === bytes)
    const [known] = index < 0 ? [] : this.#buffers.splice(index, 1)
    const buffer = known ?? network.device.allocate(bytes)
    taken.push(buffer)
    return buffer
  }

  dispose(): void {
    this.#denoiser.dispose()
    for (const net of this.#nets.values()) net.dispose()
    for (const buffer of this.#buffers) buffer.dispose()
    this.#buffers.length = 0
  }
}

function controlRow(
  row: DenoiserRow,
  index: number,
  states: ReadonlyMap<TextState, NetworkState>,
  { scale }: ControlHint,
  earlier: Residuals | undefined,
  { network }: NetworkLease,
): NetworkRow {
  const inputs: Record<string, Float32Array | DeviceBuffer> = {
    sample: row.latent,
    timestep: Float32Array.of(row.level.t),
  }
  for (const { name, shape } of network.inputs) {
    const buffer = earlier?.[name]?.[index]
    if (buffer) inputs[name] = buffer
    else if (name === 'conditioning_scale') inputs[name] = new Float32Array(elements(shape)).fill(scale)
  }
  return { ...stateOf(states, row), inputs }
}
