/** irodori: diffusion inference in this process. Importing it touches no file, device or environment. */

export {
  type Device,
  type DeviceBuffer,
  type DeviceInfo,
  type DeviceMemory,
  type DeviceOptions,
  type LoadProgress,
  openDevice,
  readSafetensorsIndex,
} from './bindings'
export type { Capabilities } from './compile/capabilities'
export type { NetworkDType } from './compile/compile'
export type { KernelName } from './compile/kernels'
export { EngineError, ERROR_CODES, type ErrorCode, type ErrorContext } from './errors'
export { IMAGE_FORMATS, type ImageFormat } from './images/format'
export { type GridOptions, makeGrid } from './images/grid'
export type { EncodeOptions, Image } from './images/image'
export type { Provenance } from './images/metadata'
export type { Colour } from './images/opacity'
export { readMetadata } from './images/readMetadata'
export type { ImageInput, RawPicture } from './images/readPicture'
export type { Axis, AxisName, DerivedInput, InputPort, ModelPorts, OutputPort, Sizes } from './models'
export { bundledModels } from './pipelines/bundled'
export {
  type Component,
  type ComponentMemory,
  type ComponentOptions,
  type ComponentRunOptions,
  loadComponent,
} from './pipelines/component'
export type { LoadMessage, RequestMessage, StepMessage } from './pipelines/diagnostics'
export type { Stage, StreamEvent } from './pipelines/events'
export type { GenerateOptions, StreamOptions } from './pipelines/generateOptions'
export type { InversionOptions } from './pipelines/inversions'
export type { Rng } from './pipelines/latents'
export { type LoadPipelineOptions, loadPipeline, type PipelineLoadProgress } from './pipelines/load'
export type { Logger } from './pipelines/logger'
export type { LoraOptions } from './pipelines/loras'
export type { PipelineMemory } from './pipelines/model'
export type { ModelProvenance, ModelScore, ProvenanceSource, TrainingCost } from './pipelines/modelProvenance'
export { type GivenPictures, optionsFromMetadata } from './pipelines/optionsFromMetadata'
export type { ControlOptions, HiresOptions } from './pipelines/pictureOptions'
export type { Pipeline, PipelineInfo } from './pipelines/pipeline'
export type { ComponentInput } from './pipelines/ports'
export { readSafetensors } from './pipelines/readSafetensors'
export type { GenerateResult, GenerateWarning, Timings } from './pipelines/result'
export type { PixelSize } from './pipelines/sizes'
export type { TilingOptions } from './pipelines/tiling'
export { SAMPLER_NAMES, type SamplerName } from './samplers/registry'
export { SCHEDULE_NAMES, type ScheduleName } from './samplers/schedules/request'
export type { DType } from './tensor/dtype'
export type { Shape } from './tensor/shape'
export type { Tensor, TensorData } from './tensor/tensor'
export type { StampedFile, TensorEntry, UnreadDType } from './weights'
