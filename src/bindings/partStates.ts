/** States that the parts before the last leave for runs to read: taken from the cache where known, made where not. */

import { throwIfAborted } from '../errors'
import type { DeviceBuffer } from './device'
import type { DeviceWeights } from './deviceWeights'
import type { RowValue, RunRequest } from './executable'
import type { ReadInputs } from './networkInputs'
import type { NetworkPart } from './networkParts'
import type { NetworkState } from './networkState'
import { SharedWork } from './sharedWork'
import { type State, StateCache } from './stateCache'

/** How long the steps of one part took, for all rows it ran for. */
export interface PartTimes {
  /** Index among the compiled parts. */
  readonly part: number
  readonly rows: number
  /** Of every step of its program, in order. */
  readonly stepMs: readonly number[]
}

/** A row of a call, with the handle it refers to. */
export interface PartRow extends ReadInputs {
  readonly state: NetworkState | undefined
}

export interface AcquireOptions {
  readonly signal?: AbortSignal
  /** Called for every part that runs; no step is timed without it. */
  readonly onStepTimes?: (times: PartTimes) => void
}

/** States that a call reads. */
export interface Acquired {
  /** Per part and row. */
  readonly states: readonly (readonly State[])[]
  /** When all of them are there; pinned where a row's handle keeps them. */
  readonly filled: Promise<void>
}

export class PartStates {
  readonly #parts: readonly NetworkPart[]
  readonly #weights: DeviceWeights
  readonly #dtype: string
  readonly #cache: StateCache

  /** @param parts - those that leave states, in running order. */
  constructor(parts: readonly NetworkPart[], weights: DeviceWeights, dtype: string, limitBytes: number) {
    this.#parts = parts
    this.#weights = weights
    this.#dtype = dtype
    this.#cache = new StateCache(limitBytes)
  }

  get sizeBytes(): number {
    return this.#cache.sizeBytes
  }

  get count(): number {
    return this.#cache.count
  }

  /** Whether some state depends on that graph input. */
  dependOn(input: string): boolean {
    return this.#parts.some(({ dependsOn }) => dependsOn.includes(input))
  }

  /** Frees what nobody reads; the rest goes with its last user. */
  clear(): void {
    this.#cache.clear()
  }

  /**
   * States of every part but the last, per part and row, taken into use. Nobody waits for one part before the next is
   * sent off: a device runs in the order in which it is asked.
   */
  acquire(rows: readonly PartRow[], options: AcquireOptions): Acquired {
    const { signal } = options
    const states: State[][] = []
    const filled: Promise<void>[] = []
    throwIfAborted(signal)
    try {
      for (const part of this.#parts) {
        const able = rows.every((row) => part.dependsOn.every((name) => row.values.has(name)))
        const taken = able ? this.#acquirePart(part, rows, states, options) : []
        states.push(taken)
        // Joined in the tick that took them: nobody can be the last to leave in between.
        const joined = [...new Set(taken.map(({ work }) => work))].map((work) => work.join(signal))
        filled.push(
          Promise.all(joined).then(() => {
            for (const [row, state] of taken.entries()) pinFor(rows[row], part, state)
          }),
        )
      }
      return { states, filled: allOf(filled) }
    } catch (error) {
      // Nobody will hear how those that were sent off have ended.
      allOf(filled).catch(() => undefined)
      this.release(states.flat())
      throw error
    }
  }

  /** Ends one use of each. */
  release(states: Iterable<State>): void {
    for (const state of states) this.#cache.release(state)
  }

  /** Takes known states, and starts one run for all that are not. */
  #acquirePart(
    part: NetworkPart,
    rows: readonly PartRow[],
    states: readonly (readonly State[])[],
    options: AcquireOptions,
  ): State[] {
    const keys = rows.map((row) => this.#key(part, row))
    const found = new Map<string, State>()
    const missing: { readonly key: string; readonly row: number }[] = []
    for (const [row, key] of keys.entries()) {
      if (found.has(key) || missing.some((one) => one.key === key)) continue
      const state = this.#cache.take(key)
      if (state) found.set(key, state)
      else missing.push({ key, row })
    }
    try {
      for (const state of this.#start(part, missing, rows, states, options)) found.set(state.key, state)
    } catch (error) {
      this.release(found.values())
      throw error
    }
    return keys.flatMap((key, row) => {
      const state = found.get(key)
      if (!state) return []
      if (keys.indexOf(key) !== row) state.users += 1
      return state
    })
  }

  #start(
    part: NetworkPart,
    missing: readonly { readonly key: string; readonly row: number }[],
    rows: readonly PartRow[],
    states: readonly (readonly State[])[],
    options: AcquireOptions,
  ): State[] {
    if (missing.length === 0) return []
    const buffers = this.#allocate(part, missing.length)
    const outputs = Object.fromEntries(
      [...part.outputBytes.keys()].map((name) => [name, buffers.flatMap((row) => row.get(name) ?? [])]),
    )
    const inputs = valuesOf(
      part,
      missing.flatMap(({ row }) => rows[row] ?? []),
      states.map((ofPart) => missing.flatMap(({ row }) => ofPart[row] ?? [])),
    )
    const work = new SharedWork<void>((signal) =>
      part.executable.run({
        rows: missing.length,
        inputs,
        outputs,
        signal,
        ...timesOf(part, missing.length, options),
      }),
    )
    const sizeBytes = [...part.outputBytes.values()].reduce((sum, bytes) => sum + bytes, 0)
    return missing.map(({ key, row }, index) => {
      const unique = part.dependsOn.some((name) => rows[row]?.keys.get(name)?.unique)
      const state: State = { key, buffers: buffers[index] ?? new Map(), sizeBytes, work, unique, users: 1 }
      this.#cache.add(state)
      return state
    })
  }

  /** Buffers for what a part leaves, by name, for some rows. All or none. */
  #allocate(part: NetworkPart, rows: number): Map<string, DeviceBuffer>[] {
    const buffers = Array.from({ length: rows }, () => new Map<string, DeviceBuffer>())
    try {
      for (const row of buffers) {
        for (const [name, bytes] of part.outputBytes) row.set(name, this.#weights.device.allocate(bytes))
      }
      return buffers
    } catch (error) {
      for (const row of buffers) for (const buffer of row.values()) buffer.dispose()
      throw error
    }
  }

  #key(part: NetworkPart, row: PartRow): string {
    return [
      part.index,
      this.#weights.identity,
      this.#dtype,
      ...part.dependsOn.map((name) => row.keys.get(name)?.text),
    ].join(' ')
  }
}

/** A part's inputs for some rows: graph inputs from their copies, states from their buffers. */
export function valuesOf(
  part: NetworkPart,
  rows: readonly PartRow[],
  states: readonly (readonly State[])[],
): Record<string, readonly RowValue[]> {
  const values: Record<string, readonly RowValue[]> = {}
  for (const name of part.inputs) values[name] = rows.flatMap((row) => row.values.get(name) ?? [])
  for (const [name, maker] of part.states) {
    values[name] = (states[maker] ?? []).flatMap((state) => state.buffers.get(name) ?? [])
  }
  return values
}

/** Waits until all have settled, then fails as the first of them that failed. */
export async function allOf(promises: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(promises)) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
}

/** What a part's run is told so that the caller hears of its steps. */
export function timesOf(
  { index: part }: NetworkPart,
  rows: number,
  { onStepTimes }: AcquireOptions,
): Pick<RunRequest, 'onStepTimes'> {
  return onStepTimes ? { onStepTimes: (stepMs) => onStepTimes({ part, rows, stepMs }) } : {}
}

/** Leaves a state with the row's handle when it depends on the handle's inputs alone. */
function pinFor(row: PartRow | undefined, part: NetworkPart, state: State): void {
  const handle = row?.state
  if (handle && part.dependsOn.every((name) => handle.has(name))) handle.pin(state)
}
