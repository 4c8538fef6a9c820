/** `irodori/models`: the networks by class. A new network is one file and one line here. */

import { EngineError } from '../errors'
import type { Graph } from '../graph/graph'
import { recipeTensors } from '../graph/recipe'
import { formatShape, type Shape, sameShape } from '../tensor/shape'
import type { NeededTensor } from '../weights/checkpoint'
import { autoencoderKl } from './autoencoderKl'
import { autoencoderTiny } from './autoencoderTiny'
import { clipTextModel, clipTextModelWithProjection } from './clipTextModel'
import { controlNetModel } from './controlNetModel'
import { ditTransformer2DModel } from './ditTransformer2DModel'
import type { ModelDefinition, Recognised } from './model'
import { pixartTransformer2DModel } from './pixartTransformer2DModel'
import { srvggNetCompact } from './srvggNetCompact'
import { unet2DConditionModel } from './unet2DConditionModel'

export type {
  Axis,
  AxisName,
  DerivedInput,
  Form,
  InputPort,
  ModelDefinition,
  ModelGraph,
  ModelPorts,
  OutputPort,
  Place,
  Recognised,
  ScaledAxis,
  Sizes,
} from './model'

/** Every network, in no particular order. */
export const MODELS: readonly ModelDefinition[] = [
  autoencoderKl,
  autoencoderTiny,
  clipTextModel,
  clipTextModelWithProjection,
  controlNetModel,
  ditTransformer2DModel,
  pixartTransformer2DModel,
  srvggNetCompact,
  unet2DConditionModel,
]

/** diffusers' own remapping of a class that published files still name. */
const LEGACY: Readonly<Record<string, string>> = {
  ada_norm_zero: 'DiTTransformer2DModel',
  ada_norm_single: 'PixArtTransformer2DModel',
}

/**
 * The network of a class.
 *
 * @param className - `_class_name` or the first of `architectures`.
 * @param config - the parsed config; decides for the legacy class `Transformer2DModel`.
 *
 * Throws `unsupported-model`, naming the classes there are.
 */
export function modelDefinition(className: string, config?: Readonly<Record<string, unknown>>): ModelDefinition {
  const name = className === 'Transformer2DModel' ? (LEGACY[String(config?.norm_type)] ?? className) : className
  const found = MODELS.find((model) => model.className === name)
  if (found) return found
  const known = MODELS.map((model) => model.className)
  throw new EngineError('unsupported-model', `expected one of ${known.join(', ')}, got the class ${className}`, {
    className,
    known,
  })
}

/** The network whose names and shapes these are, for files without a config; `undefined` when nobody knows them. */
export function recogniseModel(
  shapes: ReadonlyMap<string, Shape>,
): (Recognised & { readonly definition: ModelDefinition }) | undefined {
  for (const definition of MODELS) {
    const recognised = definition.recognise?.(shapes)
    if (recognised) return { definition, ...recognised }
  }
  return undefined
}

/** The checkpoint tensors that a graph reads, each once. Throws `invalid-graph` when one is read under two shapes. */
export function neededTensors(graph: Graph): NeededTensor[] {
  const needed = new Map<string, NeededTensor>()
  for (const { origin } of graph.values) {
    for (const { name, shape } of origin.kind === 'param' ? recipeTensors(origin.recipe) : []) {
      const known = needed.get(name)
      if (known && !sameShape(known.shape, shape)) {
        const message = `${graph.name}: expected one shape of "${name}", got ${formatShape(known.shape)} and ${formatShape(shape)}`
        throw new EngineError('invalid-graph', message)
      }
      needed.set(name, { name, shape })
    }
  }
  return [...needed.values()]
}
