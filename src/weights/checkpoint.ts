/** Checkpoints: where the bytes of every named tensor lie, over one or many safetensors files. */

import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { EngineError } from '../errors'
import { DTYPE_BYTES, type DType } from '../tensor/dtype'
import { formatShape, type Shape, sameShape } from '../tensor/shape'

/** A file, and what tells it from one that has been written over it. */
export interface StampedFile {
  readonly file: string
  /** As it was before its header was read; left out when nobody looked. */
  readonly stamp?: string | undefined
}

/** Element types of safetensors that nothing here reads; other tensors of the same file are of use all the same. */
export type UnreadDType =
  | 'i8'
  | 'i16'
  | 'u16'
  | 'u32'
  | 'u64'
  | 'f64'
  | 'c64'
  | 'f4'
  | 'f6_e2m3'
  | 'f6_e3m2'
  | 'f8_e4m3'
  | 'f8_e5m2'
  | 'f8_e8m0'

/** Whether tensors of a file's type can be read. */
export function isRead(dtype: DType | UnreadDType): dtype is DType {
  return dtype in DTYPE_BYTES
}

/** One tensor of a file; `begin` and `end` are absolute byte offsets in it. */
export interface TensorEntry extends StampedFile {
  readonly name: string
  readonly dtype: DType | UnreadDType
  readonly shape: Shape
  readonly begin: number
  readonly end: number
}

/** Named tensors on disk. `identity` differs whenever a file was rewritten; every cache key contains it. */
export interface Checkpoint {
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly identity: string
}

/** Parses the header of one safetensors file; the native parser, handed in so that this folder needs no addon. */
export type ReadIndex = (file: string) => Promise<readonly TensorEntry[]>

export interface OpenCheckpointOptions {
  readonly readIndex: ReadIndex
  /** The name the network asks for, or `undefined` for a tensor that no network needs. */
  readonly rename?: (name: string, file: string) => string | undefined
  /** What an index file promises: tensor name to file. */
  readonly weightMap?: ReadonlyMap<string, string>
}

/**
 * Opens files as one checkpoint.
 *
 * Throws `missing-file`, `io` (also when a file changed after its header was read), `invalid-safetensors` (also for one name in two places) and `missing-tensor` when a
 * file lacks what its index promises.
 */
export async function openCheckpoint(files: readonly string[], options: OpenCheckpointOptions): Promise<Checkpoint> {
  const tensors = new Map<string, TensorEntry>()
  const hash = createHash('sha256')
  for (const file of files) {
    const { stamp, changed } = await fileStamp(file)
    hash.update(`${stamp}:${changed}\n`)
    const entries = await options.readIndex(file)
    if (entries.some((entry) => entry.stamp !== undefined && entry.stamp !== stamp)) throw changedError(file)
    const names = new Set(entries.map((entry) => entry.name))
    for (const [name, home] of options.weightMap ?? []) {
      if (home === file && !names.has(name)) {
        throw new EngineError('missing-tensor', `${file}: expected tensor "${name}" as the index says, found none`, {
          file,
          tensor: name,
        })
      }
    }
    for (const entry of entries) {
      hash.update(`${entry.name}\0${entry.dtype}\0${entry.shape}\0${entry.begin}\0${entry.end}\n`)
      const name = options.rename ? options.rename(entry.name, file) : entry.name
      if (name === undefined) continue
      if (name !== entry.name) hash.update(`as ${name}\n`) // halves of an autoencoder share files, not names
      const known = tensors.get(name)
      if (known) {
        throw new EngineError(
          'invalid-safetensors',
          `${file}: expected one tensor "${name}", got a second one (first in ${known.file})`,
          {
            file,
            tensor: name,
          },
        )
      }
      tensors.set(name, { ...entry, name })
    }
  }
  return { tensors, identity: hash.digest('hex').slice(0, 32) }
}

/** The same checkpoint under `prefix/`: several components can then be merged into one. */
export function scoped(checkpoint: Checkpoint, prefix: string): Checkpoint {
  const renamed = [...checkpoint.tensors.values()].map((entry) => ({ ...entry, name: `${prefix}/${entry.name}` }))
  return {
    tensors: new Map(renamed.map((entry) => [entry.name, entry])),
    identity: combine([prefix, checkpoint.identity]),
  }
}

/** Several checkpoints as one. Throws `invalid-argument` when they share a name. */
export function merge(checkpoints: readonly Checkpoint[]): Checkpoint {
  const tensors = new Map<string, TensorEntry>()
  for (const checkpoint of checkpoints) {
    for (const [name, entry] of checkpoint.tensors) {
      if (tensors.has(name))
        throw new EngineError('invalid-argument', `merge: expected distinct names, got "${name}" twice`, {
          tensor: name,
        })
      tensors.set(name, entry)
    }
  }
  return { tensors, identity: combine(checkpoints.map((checkpoint) => checkpoint.identity)) }
}

/** A tensor that a network reads. */
export interface NeededTensor {
  readonly name: string
  readonly shape: Shape
}

/** How a checkpoint and the networks that read it fit together. */
export interface NameReport {
  /** Needed, not in the checkpoint. */
  readonly missing: readonly string[]
  /** In the checkpoint, needed by nobody. */
  readonly unused: readonly string[]
  readonly mismatched: readonly { readonly name: string; readonly expected: Shape; readonly got: Shape }[]
}

/** Compares what networks need with what a checkpoint has. Names are sorted. */
export function report(checkpoint: Checkpoint, needed: readonly NeededTensor[]): NameReport {
  const wanted = new Map(needed.map((tensor) => [tensor.name, tensor.shape]))
  const names = [...wanted.keys()].sort()
  return {
    missing: names.filter((name) => !checkpoint.tensors.has(name)),
    unused: [...checkpoint.tensors.keys()].filter((name) => !wanted.has(name)).sort(),
    mismatched: names.flatMap((name) => {
      const expected = wanted.get(name)
      const got = checkpoint.tensors.get(name)?.shape
      return expected && got && !sameShape(expected, got) ? [{ name, expected, got }] : []
    }),
  }
}

/**
 * Throws when a network cannot run on the reported checkpoint: `missing-tensor` with all missing names in `context`,
 * or `shape-mismatch` with all mismatched ones.
 *
 * @param where - component or folder, for the message.
 */
export function assertComplete(found: NameReport, where: string): void {
  if (found.missing.length > 0) {
    throw new EngineError(
      'missing-tensor',
      `${where}: expected all tensors of the network, missing ${someOf(found.missing)}`,
      {
        where,
        missing: found.missing,
        unused: found.unused,
      },
    )
  }
  if (found.mismatched.length > 0) {
    const lines = found.mismatched.map(
      ({ name, expected, got }) => `${name} ${formatShape(expected)}, got ${formatShape(got)}`,
    )
    throw new EngineError('shape-mismatch', `${where}: expected ${someOf(lines)}`, {
      where,
      mismatched: found.mismatched,
    })
  }
}

/** Names for a message: the first eight and how many more. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 8).join('; ')
  return names.length > 8 ? `${shown}; and ${names.length - 8} more` : shown
}

/** The error for a file that is no longer the one its stamp was taken of. */
export function changedError(file: string): EngineError {
  return new EngineError('io', `${file}: expected the file whose header was read, got one changed while in use`, {
    file,
  })
}

/**
 * What changes when a file is rewritten: device, inode, size and time of modification; apart from them the time of any
 * change, a further hard link included, which tells rewriting with an old time.
 */
export async function fileStamp(file: string): Promise<{ readonly stamp: string; readonly changed: string }> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
    return { stamp: `${dev}:${ino}:${size}:${mtimeNs}`, changed: `${ctimeNs}` }
  } catch (cause) {
    throw new EngineError('missing-file', `${file}: expected a file, found none`, { file, cause })
  }
}

function combine(parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 32)
}
