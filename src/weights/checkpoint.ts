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

/** One tensor of a file, or a part of one; `begin` and `end` are absolute byte offsets in it. */
export interface TensorEntry extends StampedFile {
  readonly name: string
  readonly dtype: DType | UnreadDType
  readonly shape: Shape
  readonly begin: number
  readonly end: number
  /** The bytes are those of the transpose, `[shape[1], shape[0]]`; matrices only. */
  readonly transposed?: boolean
}

/** Named tensors on disk. `identity` differs whenever a file was rewritten; every cache key contains it. */
export interface Checkpoint {
  readonly tensors: ReadonlyMap<string, TensorEntry>
  readonly identity: string
  /** What is added to some of the tensors; left out for weights as they are stored. */
  readonly patch?: AppliedPatch
}

/** Products of two small matrices, added to tensors: what LoRAs are. */
export interface WeightPatch {
  /** By the name of the tensor they are added to. */
  readonly terms: ReadonlyMap<string, readonly LowRankTerm[]>
}

/**
 * W + scale · up · down, W being [O, ...rest], up [O, r], down [r, ...rest].
 *
 * With `mid` [r, r, kh, kw] and down [r, I] it is up · (mid · down), a convolution in three factors.
 */
export interface LowRankTerm {
  readonly up: TensorEntry
  readonly down: TensorEntry
  readonly mid?: TensorEntry
  readonly scale: number
  /** Of the file that the factors are in. */
  readonly identity: string
}

/** A patch on the checkpoint whose identity is `base`; tensors that it leaves alone are the base's. */
export interface AppliedPatch extends WeightPatch {
  readonly base: string
}

/** Parses the header of one safetensors file; the native parser, handed in so that this folder needs no addon. */
export type ReadIndex = (file: string) => Promise<readonly TensorEntry[]>

export interface OpenCheckpointOptions {
  readonly readIndex: ReadIndex
  /** The name the network asks for, or `undefined` for a tensor that no network needs. */
  readonly rename?: (name: string, file: string) => string | undefined
  /** What a stored tensor holds, under the names the network asks for: itself, parts of it, nothing. Instead of `rename`. */
  readonly parts?: (entry: TensorEntry) => readonly TensorEntry[]
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
      hash.update(describe(entry))
      for (const part of partsOf(entry, options)) {
        // Halves of an autoencoder share files, not names.
        if (part !== entry) hash.update(`as ${describe(part)}`)
        add(tensors, part)
      }
    }
  }
  return { tensors, identity: hash.digest('hex').slice(0, 32) }
}

function partsOf(entry: TensorEntry, { parts, rename }: OpenCheckpointOptions): readonly TensorEntry[] {
  if (parts) return parts(entry)
  const name = rename ? rename(entry.name, entry.file) : entry.name
  if (name === undefined) return []
  return [name === entry.name ? entry : { ...entry, name }]
}

function describe({ name, dtype, shape, begin, end, transposed }: TensorEntry): string {
  return `${name}\0${dtype}\0${shape}\0${begin}\0${end}${transposed ? '\0transposed' : ''}\n`
}

function add(tensors: Map<string, TensorEntry>, entry: TensorEntry): void {
  const { name, file } = entry
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
  tensors.set(name, entry)
}

/**
 * The same checkpoint under the names a network asks for.
 *
 * @param rename - the new name, or `undefined` for a tensor that no network needs.
 *
 * Throws `invalid-safetensors` when two tensors get one name.
 */
export function renamed(checkpoint: Checkpoint, rename: (name: string) => string | undefined): Checkpoint {
  const tensors = new Map<string, TensorEntry>()
  const changes: string[] = []
  for (const entry of checkpoint.tensors.values()) {
    const name = rename(entry.name)
    if (name !== entry.name) changes.push(`${entry.name} as ${name}`)
    if (name !== undefined) add(tensors, name === entry.name ? entry : { ...entry, name })
  }
  if (changes.length === 0) return checkpoint
  return { tensors, ...rebased(checkpoint, (identity) => combine([identity, ...changes]), rename) }
}

/**
 * The checkpoint with a patch on it, in place of the one it may have.
 *
 * Throws `missing-tensor` when the patch names a tensor that is not there.
 */
export function patchCheckpoint(checkpoint: Checkpoint, { terms }: WeightPatch): Checkpoint {
  const missing = [...terms.keys()].filter((name) => !checkpoint.tensors.has(name))
  if (missing.length > 0) {
    const message = `patch: expected tensors of the checkpoint, got ${someOf(missing)}`
    throw new EngineError('missing-tensor', message, { missing })
  }
  const base = checkpoint.patch?.base ?? checkpoint.identity
  const { tensors } = checkpoint
  if (terms.size === 0) return { tensors, identity: base }
  const added = [...terms].flatMap(([name, list]) =>
    list.map(({ identity, scale, up }) => `${name}\0${identity}\0${up.name}\0${scale}`),
  )
  return { tensors, identity: combine([base, ...added]), patch: { base, terms } }
}

/** Identity and patch of a checkpoint whose tensors were given other names. */
function rebased(
  { identity, patch }: Checkpoint,
  to: (identity: string) => string,
  rename: (name: string) => string | undefined,
): Omit<Checkpoint, 'tensors'> {
  if (!patch) return { identity: to(identity) }
  const terms = [...patch.terms].flatMap(([name, list]) => {
    const other = rename(name)
    return other === undefined ? [] : [[other, list] as const]
  })
  return { identity: to(identity), patch: { base: to(patch.base), terms: new Map(terms) } }
}

/** The same checkpoint under `prefix/`: several components can then be merged into one. */
export function scoped(checkpoint: Checkpoint, prefix: string): Checkpoint {
  const named = [...checkpoint.tensors.values()].map((entry) => ({ ...entry, name: `${prefix}/${entry.name}` }))
  return {
    tensors: new Map(named.map((entry) => [entry.name, entry])),
    ...rebased(
      checkpoint,
      (identity) => combine([prefix, identity]),
      (name) => `${prefix}/${name}`,
    ),
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
  const identity = combine(checkpoints.map((checkpoint) => checkpoint.identity))
  if (checkpoints.every(({ patch }) => patch === undefined)) return { tensors, identity }
  const base = combine(checkpoints.map((checkpoint) => checkpoint.patch?.base ?? checkpoint.identity))
  const terms = new Map(checkpoints.flatMap(({ patch }) => [...(patch?.terms ?? [])]))
  return { tensors, identity, patch: { base, terms } }
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
