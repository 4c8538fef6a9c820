/** `irodori/weights`: checkpoints, model folders, rename tables, reading and writing safetensors. */

export type { DType } from '../tensor/dtype'
export type { Shape } from '../tensor/shape'
export type { Tensor, TensorData } from '../tensor/tensor'
export type {
  Checkpoint,
  NameReport,
  NeededTensor,
  OpenCheckpointOptions,
  ReadIndex,
  StampedFile,
  TensorEntry,
  UnreadDType,
} from './checkpoint'
export { assertComplete, merge, openCheckpoint, report, scoped } from './checkpoint'
export type { JsonFields, JsonObject, NumberField } from './jsonFields'
export { jsonFields, readJson } from './jsonFields'
export type { ComponentEntry, ComponentSource, ModelFolder } from './modelFolder'
export { findComponent, openModelFolder } from './modelFolder'
export { readTensor, readTensors } from './readTensors'
export type { RenameRule, RenameTable } from './renames'
export { rename } from './renames'
export { encodeSafetensors, writeSafetensors } from './safetensorsWriter'
export type { WeightFiles } from './weightFiles'
export { findWeightFiles } from './weightFiles'
