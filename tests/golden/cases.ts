/** The golden cases: what MANIFEST.json files list, with their tensors, and comparison by relative L2. */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { elements } from '../../src/tensor/shape'
import type { Tensor } from '../../src/tensor/tensor'
import { readTensors, type TensorEntry } from '../../src/weights'

const ROOT = __dirname

/** One run of one component. */
export interface GoldenCase {
  readonly net: string
  readonly case: string
  readonly component: string
  /** The model folder: the case's own, or `model` where that is named. */
  readonly folder: string
  readonly model?: string
  readonly file: string
  /** Of f32 for all outputs, of the half types by output. */
  readonly tolerance: { readonly f32: number } & Readonly<Record<'bf16' | 'f16', Readonly<Record<string, number>>>>
}

/** Files of a manifest with the hash it names. */
export function manifestFiles(): { readonly file: string; readonly sha256: string }[] {
  return readdirSync(ROOT, { withFileTypes: true }).flatMap((entry) => {
    const manifest = path.join(ROOT, entry.name, 'MANIFEST.json')
    if (!entry.isDirectory() || !existsSync(manifest)) return []
    const { sha256 = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as { sha256?: Record<string, string> }
    return Object.entries(sha256).map(([name, hash]) => ({ file: path.join(ROOT, entry.name, name), sha256: hash }))
  })
}

/** Every case of the networks' goldens. */
export function goldenCases(): GoldenCase[] {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && readdirSync(path.join(ROOT, entry.name)).includes('MANIFEST.json'))
    .flatMap(({ name: net }) => {
      const manifest: unknown = JSON.parse(readFileSync(path.join(ROOT, net, 'MANIFEST.json'), 'utf8'))
      const { cases = [] } = manifest as { cases?: Omit<GoldenCase, 'net' | 'folder'>[] }
      return cases.flatMap((one) =>
        one.component === undefined
          ? []
          : [
              {
                ...one,
                net,
                folder: path.join(ROOT, net, one.model ?? one.case),
                file: path.join(ROOT, net, one.file),
              },
            ],
      )
    })
}

const DTYPES = { F32: 'f32', F16: 'f16', BF16: 'bf16', I32: 'i32', I64: 'i64', U8: 'u8' } as const

/** Header of a file this repository wrote: no checks, no addon. */
export async function readHeader(file: string): Promise<TensorEntry[]> {
  const bytes = readFileSync(file)
  const start = 8 + Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, start).toString()) as Record<
    string,
    { dtype: keyof typeof DTYPES; shape: number[]; data_offsets: [number, number] }
  >
  return Object.entries(header).flatMap(([name, { dtype, shape, data_offsets }]) =>
    name === '__metadata__'
      ? []
      : [{ name, dtype: DTYPES[dtype], shape, file, begin: start + data_offsets[0], end: start + data_offsets[1] }],
  )
}

/** Inputs and outputs of a case. */
export async function readCase(
  golden: GoldenCase,
): Promise<{ inputs: Record<string, Tensor>; outputs: Record<string, Tensor> }> {
  const tensors = Object.entries(await readTensors(await readHeader(golden.file)))
  const under = (prefix: string): Record<string, Tensor> =>
    Object.fromEntries(
      tensors.flatMap(([name, tensor]) => (name.startsWith(prefix) ? [[name.slice(prefix.length), tensor]] : [])),
    )
  return { inputs: under('in.'), outputs: under('out.') }
}

/** `‖got - want‖ / ‖want‖`, summed in float64; infinite when a value is no number. */
export function relativeL2(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let difference = 0
  let norm = 0
  for (let i = 0; i < want.length; i += 1) {
    const [a = Number.NaN, b = Number.NaN] = [got[i], want[i]]
    difference += (a - b) ** 2
    norm += b ** 2
  }
  const error = Math.sqrt(difference / norm)
  return got.length === want.length && !Number.isNaN(error) ? error : Number.POSITIVE_INFINITY
}

/** The numbers of a float32 tensor. */
export function numbers(tensor: Tensor | undefined): Float32Array {
  if (tensor?.data instanceof Float32Array && tensor.data.length === elements(tensor.shape)) return tensor.data
  throw new TypeError(`expected a float32 tensor, got ${tensor?.dtype}`)
}
