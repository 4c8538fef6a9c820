/** Embeddings of a pipeline (textual inversion): files whose vectors prompts name by a word. */

import path from 'node:path'
import { readSafetensorsIndex } from '../bindings'
import { EngineError } from '../errors'
import { checkNames, invalidOption, stringOption } from '../text/givenOptions'
import { assertFits, inversionTensors, type TextualInversion, textualInversion } from '../text/textualInversion'
import { openCheckpoint, readTensors } from '../weights'
import { isPickle, pickleError } from '../weights/pickles'
import { modelHash } from './modelHash'

/** An embedding for the text encoders. */
export interface InversionOptions {
  /** A safetensors file as the web UI, diffusers or kohya write it. */
  readonly file: string
  /**
   * The word that stands for it in prompts, whatever its case.
   *
   * @defaultValue what the file names (`<cat-toy>`), else the file's name without its ending
   */
  readonly name?: string
}

export interface InversionRequest {
  readonly file: string
  readonly name: string | undefined
}

/** An embedding as metadata knows it. */
export interface NamedInversion {
  readonly name: string
  readonly hash: string
}

/** Throws `invalid-option` and `unknown-option`. */
export function readInversions(inversions: unknown): readonly InversionRequest[] {
  if (inversions === undefined) return []
  if (!Array.isArray(inversions)) throw invalidOption('inversions', 'a list of { file, name }', inversions)
  return inversions.map((one: unknown, i) => {
    const given = checkNames(`inversions[${i}]`, one, ['file', 'name'])
    const file = stringOption(given, 'file')
    if (file === undefined || file === '') {
      throw invalidOption(`inversions[${i}].file`, 'a safetensors file', file ?? 'none')
    }
    return { file, name: stringOption(given, 'name') }
  })
}

/**
 * Reads embeddings for text encoders.
 *
 * @param widths - D of each encoder; none where the model reads no embeddings.
 * @throws {@link EngineError} `invalid-option` for a model that reads none, vectors of other encoders, or a name twice;
 * `unsupported-format` for a file that is no embedding, or pickled; what reading files throws.
 */
export async function openInversions(
  requests: readonly InversionRequest[],
  widths: readonly number[],
  signal: AbortSignal | undefined,
): Promise<readonly { readonly inversion: TextualInversion; readonly named: NamedInversion }[]> {
  if (requests.length > 0 && widths.length === 0) {
    throw invalidOption('inversions', 'none, as the model reads no embeddings', requests.length)
  }
  const opened = await Promise.all(
    requests.map(async ({ file, name }) => {
      if (await isPickle(file)) throw pickleError(file)
      const { tensors } = await openCheckpoint([file], { readIndex: (one) => readSafetensorsIndex(one, { signal }) })
      const used = new Set(inversionTensors([...tensors.keys()], file).tensors) // what is beside them is not read
      const vectors = await readTensors([...tensors.values()].filter((entry) => used.has(entry.name)))
      const inversion = textualInversion(vectors, { name, file })
      assertFits(inversion, widths)
      const hash = await modelHash(path.dirname(file), [file], { signal })
      return { inversion, named: { name: inversion.name, hash } }
    }),
  )
  const files = new Map<string, string>()
  for (const [i, { inversion }] of opened.entries()) {
    const { file = '' } = requests[i] ?? {}
    const word = inversion.name.toLowerCase()
    const other = files.get(word)
    if (other !== undefined) {
      const message = `inversions[${i}]: ${file}: expected a name of its own, got "${inversion.name}", which stands for ${other}`
      throw new EngineError('invalid-option', message, { option: 'inversions', file, got: inversion.name })
    }
    files.set(word, file)
  }
  return opened
}
