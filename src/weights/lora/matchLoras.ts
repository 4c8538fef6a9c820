/** Which tensors of a model the layers of LoRAs are added to, and whether they fit. */

import { EngineError } from '../../errors'
import { elements, formatShape, type Shape, sameShape } from '../../tensor/shape'
import { type Checkpoint, type LowRankTerm, someOf, type TensorEntry, type WeightPatch } from '../checkpoint'
import { originalUnetModules } from '../original/unet'
import type { LoraLayer } from './layer'
import type { Lora } from './openLora'

/** A LoRA and the weight it is to have. */
export interface LoraUse {
  readonly lora: Lora
  /** Factor on the whole LoRA: 1 as it was trained. */
  readonly scale: number
}

export interface MatchedLoras {
  /** By component; components that no LoRA touches are left out. */
  readonly patches: ReadonlyMap<string, WeightPatch>
  /** Tensors and layers that go nowhere, with their file; sorted. */
  readonly unused: readonly string[]
}

/**
 * Finds the tensor of every layer.
 *
 * @param components - the checkpoints of `unet`, `text_encoder`, `text_encoder_2`, under the networks' names.
 *
 * Throws `lora-mismatch` for a LoRA of another family: layers whose factors do not fit the model's tensors, or few that
 * the model has. `context` has all of them.
 */
export function matchLoras(uses: readonly LoraUse[], components: ReadonlyMap<string, Checkpoint>): MatchedLoras {
  const places = new Map([...components].map(([name, { tensors }]) => [name, layersOf(tensors)] as const))
  const terms = new Map<string, Map<string, LowRankTerm[]>>()
  const unused: string[] = []
  for (const { lora, scale } of uses) {
    const unknown: string[] = []
    const mismatched: string[] = []
    for (const layer of lora.layers) {
      const target = places.get(layer.component)?.get(layer.path)
      if (!target) {
        unknown.push(layer.key)
        continue
      }
      const problem = misfit(layer, target.shape)
      if (problem !== undefined) {
        mismatched.push(
          `${layer.key} for ${layer.component}/${target.name} ${formatShape(target.shape)}, got ${problem}`,
        )
        continue
      }
      const ofComponent = terms.get(layer.component) ?? new Map<string, LowRankTerm[]>()
      terms.set(layer.component, ofComponent)
      const list = ofComponent.get(target.name) ?? []
      list.push(termOf(layer, scale, lora.identity))
      ofComponent.set(target.name, list)
    }
    if (mismatched.length > 0 || unknown.length === lora.layers.length || mostlyUnknown(lora, places)) {
      throw mismatch(lora, [...components.keys()], unknown, mismatched)
    }
    unused.push(...[...lora.unused, ...unknown].map((name) => `${lora.file}: ${name}`))
  }
  return {
    patches: new Map([...terms].map(([name, ofComponent]) => [name, { terms: ofComponent }])),
    unused: unused.sort(),
  }
}

/** Whether some component of the model lacks more than half of the layers that are for it. */
function mostlyUnknown({ layers }: Lora, places: ReadonlyMap<string, ReadonlyMap<string, TensorEntry>>): boolean {
  return [...places].some(([component, known]) => {
    const own = layers.filter((layer) => layer.component === component)
    return own.filter(({ path }) => !known.has(path)).length > own.length / 2
  })
}

function mismatch(
  { file, layers }: Lora,
  components: readonly string[],
  unknown: readonly string[],
  mismatched: readonly string[],
): EngineError {
  const lines = [
    ...(mismatched.length > 0
      ? [`${mismatched.length} of ${layers.length} layers do not fit: ${someOf(mismatched)}`]
      : []),
    ...(unknown.length > 0 ? [`${unknown.length} are not in ${components.join(', ')}: ${someOf(unknown)}`] : []),
  ]
  return new EngineError(
    'lora-mismatch',
    `${file}: expected a LoRA for this model, got one for another: ${lines.join('; ')}`,
    {
      file,
      mismatched,
      unknown,
    },
  )
}

/** Every tensor that a LoRA may be added to, by its layer's path with underscores for dots, in both namings. */
function layersOf(tensors: ReadonlyMap<string, TensorEntry>): ReadonlyMap<string, TensorEntry> {
  const layers = new Map<string, TensorEntry>()
  const flat = (path: string): string => path.replaceAll('.', '_')
  const has = (name: string): boolean => tensors.has(name)
  // kohya names the layers of SDXL's UNet as the original code does.
  const modules = has('conv_in.weight') ? originalUnetModules(has) : []
  const originals = new Map(modules.map(({ original, diffusers }) => [diffusers, original]))
  for (const [name, entry] of tensors) {
    if (!name.endsWith('.weight') || entry.shape.length < 2) continue
    const path = name.slice(0, -'.weight'.length)
    layers.set(flat(path), entry)
    // transformers 5 names CLIP's layers without their prefix.
    if (path.startsWith('text_model.')) layers.set(flat(path.slice('text_model.'.length)), entry)
    for (let end = path.length; end > 0; end = path.lastIndexOf('.', end - 1)) {
      const original = originals.get(path.slice(0, end))
      if (original !== undefined) layers.set(flat(original + path.slice(end)), entry)
    }
  }
  return layers
}

/** Shapes without the ones at their end: a 1x1 kernel is a matrix. */
function trimmed(shape: Shape): Shape {
  const end = shape.findLastIndex((size) => size !== 1) + 1
  return shape.slice(0, Math.max(end, 2))
}

/** The factors' shapes when they do not fit a tensor; `undefined` when they do. */
function misfit({ up, down, mid }: LoraLayer, shape: Shape): string | undefined {
  const [out = 0, ...rest] = shape
  const rank = down.shape[0] ?? 0
  const inner = mid?.shape[0] ?? rank
  const columns = elements(up.shape) === out * inner && up.shape[0] === out && up.shape[1] === inner
  const kernel = mid ? [inner, down.shape[1] ?? 0, ...mid.shape.slice(2)] : down.shape
  const middle = !mid || (mid.shape[1] === rank && elements(down.shape) === rank * (down.shape[1] ?? 0))
  if (rank > 0 && columns && middle && sameShape(trimmed(kernel), trimmed([inner, ...rest]))) return undefined
  const factors = [up, ...(mid ? [mid] : []), down].map((factor) => formatShape(factor.shape))
  return factors.join(' · ')
}

function termOf({ up, down, mid, alpha }: LoraLayer, scale: number, identity: string): LowRankTerm {
  const rank = down.shape[0] ?? 1
  return { up, down, ...(mid ? { mid } : {}), scale: (scale * (alpha ?? rank)) / rank, identity }
}
