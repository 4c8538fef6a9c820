/** `irodori/weights`: checkpoints, model folders, rename tables, reading and writing safetensors. */

export type { DType } from '../tensor/dtype'
export type { Shape } from '../tensor/shape'
export type { Tensor, TensorData } from '../tensor/tensor'
export type {
  AppliedPatch,
  Checkpoint,
  LowRankTerm,
  NameReport,
  NeededTensor,
  OpenCheckpointOptions,
  ReadIndex,
  StampedFile,
  TensorEntry,
  UnreadDType,
  WeightPatch,
} from './checkpoint'
export { assertComplete, merge, openCheckpoint, patchCheckpoint, renamed, report, scoped } from './checkpoint'
export type { JsonFields, JsonObject, NumberField } from './jsonFields'
export { jsonFields, readJson } from './jsonFields'
export type { LoraLayer } from './lora/layer'
export type { LoraUse, MatchedLoras } from './lora/matchLoras'
export { matchLoras } from './lora/matchLoras'
export type { Lora } from './lora/openLora'
export { openLora } from './lora/openLora'
export type { ComponentEntry, ComponentSource, ModelFolder } from './modelFolder'
export { findComponent, openModelFolder } from './modelFolder'
export type {
  ModelComponent,
  ModelDescription,
  OpenedFile,
  OpenModelComponentOptions,
  OpenModelOptions,
  SchedulerSource,
  TokenizerSource,
} from './openModel'
export { openModel, openModelComponent } from './openModel'
export type { ModelFamily, PredictionType } from './original/families'
export type { SingleFile, SingleFileComponent } from './original/singleFile'
export { readTensor, readTensors } from './readTensors'
export type { RenameRule, RenameTable } from './renames'
export { rename } from './renames'
export { encodeSafetensors, writeSafetensors } from './safetensorsWriter'
export type { WeightFiles } from './weightFiles'
export { findWeightFiles } from './weightFiles'
