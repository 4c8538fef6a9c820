/** `irodori/weights`: checkpoints, model folders, rename tables, reading and writing safetensors. */

export type { Checkpoint, NameReport, NeededTensor, OpenCheckpointOptions, ReadIndex, TensorEntry } from './checkpoint'
export { assertComplete, merge, openCheckpoint, report, scoped } from './checkpoint'
export type { JsonFields, JsonObject } from './jsonFields'
export { jsonFields, readJson } from './jsonFields'
export type { ComponentEntry, ComponentSource, ModelFolder } from './modelFolder'
export { findComponent, openModelFolder } from './modelFolder'
export { readTensor, readTensors } from './readTensors'
export type { RenameRule, RenameTable } from './renames'
export { rename } from './renames'
export { encodeSafetensors, writeSafetensors } from './safetensorsWriter'
export type { WeightFiles } from './weightFiles'
export { findWeightFiles } from './weightFiles'
