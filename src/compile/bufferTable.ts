/** The buffer table while it is being filled: ports, parameters, arena buffers, and views of them, each once. */

import { type Recipe, reshapeRecipe } from '../graph/recipe'
import { recipeText } from '../graph/recipeText'
import { type DType, STORAGE_BYTES, type StorageType } from '../tensor/dtype'
import { type Shape, sameShape } from '../tensor/shape'
import { UNPLANNED } from './draft'
import { columnsOf, type Place } from './place'
import type { BufferSpec, Packing, ParamSpec, PortSpec, Storage } from './program'

export class BufferTable {
  readonly buffers: BufferSpec[] = []
  readonly params: ParamSpec[] = []
  readonly inputs: PortSpec[] = []
  readonly outputs: PortSpec[] = []
  readonly #views = new Map<string, number>()
  readonly #params = new Map<string, number>()

  /** A dense buffer of its own. */
  arena(name: string, dtype: StorageType, shape: Shape): Place {
    return this.#add(name, dtype, shape, { kind: 'arena', offset: UNPLANNED })
  }

  input(name: string, dtype: DType, shape: Shape): Place {
    const place = this.#add(name, dtype, shape, { kind: 'input', index: this.inputs.length })
    this.inputs.push({ name, buffer: place.buffer })
    return place
  }

  output(name: string, dtype: DType, shape: Shape): Place {
    const place = this.#add(name, dtype, shape, { kind: 'output', index: this.outputs.length })
    this.outputs.push({ name, buffer: place.buffer })
    return place
  }

  /** The parameter in that packing, one pack however often it is read; all but `plain` packs are matrices [N, K]. */
  param(name: string, recipe: Recipe, packing: Packing, dtype: StorageType): Place {
    const [rows = 1] = recipe.shape
    const matrix =
      packing !== 'plain' && recipe.shape.length !== 2
        ? reshapeRecipe(recipe, [rows, recipe.shape.slice(1).reduce((a, b) => a * b, 1)])
        : recipe
    const key = `${packing} ${dtype} ${recipeText(matrix)}`
    const known = this.#params.get(key)
    if (known !== undefined) return this.#whole(known)
    const place = this.#add(name, dtype, matrix.shape, { kind: 'param', index: this.params.length })
    this.params.push({ recipe: matrix, packing, dtype, shape: matrix.shape })
    this.#params.set(key, place.buffer)
    return place
  }

  /** The table index a place is read or written through: the buffer itself, or a view of it. */
  indexOf(place: Place): number {
    const base = this.buffers[place.buffer]
    if (!base) throw new RangeError(`buffer ${place.buffer} is not in the table`)
    if (place.offset === 0 && place.pitch === base.pitch && sameShape(place.shape, base.shape)) return place.buffer
    const key = `${place.buffer} ${place.offset} ${place.pitch} ${place.shape}`
    const known = this.#views.get(key)
    if (known !== undefined) return known
    this.buffers.push({
      name: base.name,
      dtype: base.dtype,
      shape: place.shape,
      pitch: place.pitch,
      storage: { kind: 'view', base: place.buffer, byteOffset: place.offset * STORAGE_BYTES[base.dtype] },
    })
    this.#views.set(key, this.buffers.length - 1)
    return this.buffers.length - 1
  }

  /** The buffer a place lies in, from its first to its last element. */
  baseOf(place: Place): Place {
    return this.#whole(place.buffer)
  }

  #add(name: string, dtype: StorageType, shape: Shape, storage: Storage): Place {
    this.buffers.push({ name, dtype, shape, pitch: columnsOf(shape), storage })
    return this.#whole(this.buffers.length - 1)
  }

  #whole(index: number): Place {
    const spec = this.buffers[index]
    if (!spec) throw new RangeError(`buffer ${index} is not in the table`)
    return { buffer: index, dtype: spec.dtype, shape: spec.shape, offset: 0, pitch: spec.pitch }
  }
}
