/** Samplers, schedules, predictions, guidance and noise: everything `irodori/samplers` exports. */

export {
  asHost,
  asSymbolic,
  type HostLatent,
  hostLatent,
  type Latent,
  type LatentSpace,
  lincomb,
  type SymbolicLatent,
  symbol,
  type Term,
} from '../tensor/latent'
export type { Shape } from '../tensor/shape'
export { type DdimOptions, ddim } from './ddim'
export { type Dpmpp2mOptions, dpmpp2m } from './dpmpp2m'
export { runSampler, runSamplerAsync, type SamplerRun, startSampler } from './drive'
export { type EulerOptions, euler } from './euler'
export { type EulerAncestralOptions, eulerAncestral } from './eulerAncestral'
export { applyGuidance, checkGuidance, type Guidance, guidanceScaleAt, guide, rescaleGuided } from './guidance'
export { heun } from './heun'
export { type LcmOptions, lcm } from './lcm'
export { explodingLevel, flowLevel, type Level, lambda, noiseRatio, preservingLevel } from './level'
export { philoxNoise, type RequestNoise, torchNoise } from './noise'
export {
  type EdmPredictionOptions,
  edmPrediction,
  PREDICTIONS,
  type Prediction,
  type PredictionName,
} from './prediction'
export { createSampler, type FoundSampler, findSampler, SAMPLER_NAMES, type SamplerName } from './registry'
export type { Noise, Sampler, SamplerReply, SamplerRequest } from './sampler'
export { makeSchedule, type Path, type Schedule, startAt } from './schedule'
export { parseSchedulerConfig } from './schedules/config'
export { type EdmScheduleOptions, edmSchedule } from './schedules/edm'
export { exponential } from './schedules/exponential'
export { flowSchedule, shiftFlow } from './schedules/flow'
export { type SamplingPlan, scheduleFromConfig } from './schedules/fromConfig'
export { karras } from './schedules/karras'
export { lcmGrid } from './schedules/lcmGrid'
export { type SamplingOptions, SCHEDULE_NAMES, type ScheduleName } from './schedules/request'
export { multistepTimesteps, type Spacing, spacedTimesteps } from './schedules/spaced'
export {
  type BetaSchedule,
  type TrainingTable,
  type TrainingTableOptions,
  trainingTable,
} from './schedules/trainingTable'
export { replayTrace, type SamplerTrace, type TracedTerm, traceSampler } from './trace'
