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
export type { ChurnOptions } from './churn'
export { type DdimOptions, ddim } from './ddim'
export { type DdpmOptions, ddpm } from './ddpm'
export { type DeisOptions, deis } from './deis'
export { dpm2 } from './dpm2'
export { type Dpm2AncestralOptions, dpm2Ancestral } from './dpm2Ancestral'
export { type Dpmpp2mOptions, dpmpp2m } from './dpmpp2m'
export { type Dpmpp2mSdeOptions, dpmpp2mSde } from './dpmpp2mSde'
export { type Dpmpp2sOptions, dpmpp2s } from './dpmpp2s'
export { type Dpmpp3mOptions, dpmpp3m } from './dpmpp3m'
export { type Dpmpp3mSdeOptions, dpmpp3mSde } from './dpmpp3mSde'
export type { DpmppSolverType } from './dpmppMultistep'
export { type DpmppSdeOptions, dpmppSde } from './dpmppSde'
export { runSampler, runSamplerAsync, type SamplerRun, startSampler } from './drive'
export { type EulerOptions, euler } from './euler'
export { type EulerAncestralOptions, eulerAncestral } from './eulerAncestral'
export { type EulerAncestralCfgppOptions, eulerAncestralCfgpp } from './eulerAncestralCfgpp'
export { eulerCfgpp } from './eulerCfgpp'
export { applyGuidance, checkGuidance, type Guidance, guidanceScaleAt, guide, rescaleGuided } from './guidance'
export { type HeunOptions, heun } from './heun'
export { type LcmOptions, lcm } from './lcm'
export { explodingLevel, flowLevel, type Level, lambda, noiseRatio, preservingLevel } from './level'
export { type LmsOptions, lms } from './lms'
export { philoxNoise, type RequestNoise, torchNoise } from './noise'
export { type PndmOptions, pndm } from './pndm'
export {
  type EdmPredictionOptions,
  edmPrediction,
  PREDICTIONS,
  type Prediction,
  type PredictionName,
} from './prediction'
export { createSampler, type FoundSampler, findSampler, SAMPLER_NAMES, type SamplerName, usesUncond } from './registry'
export type { Noise, Sampler, SamplerReply, SamplerRequest } from './sampler'
export { type Curve, makeSchedule, type Path, type Schedule, startAt } from './schedule'
export { findSchedule, SCHEDULE_NAMES, type ScheduleName } from './scheduleNames'
export { type AlignedModel, alignYourSteps } from './schedules/alignYourSteps'
export { betaSigmas } from './schedules/betaSigmas'
export { parseSchedulerConfig } from './schedules/config'
export { type EdmScheduleOptions, edmSchedule } from './schedules/edm'
export { exponential } from './schedules/exponential'
export { flowSchedule, shiftFlow } from './schedules/flow'
export { type SamplingPlan, scheduleFromConfig } from './schedules/fromConfig'
export { karras } from './schedules/karras'
export { lcmGrid } from './schedules/lcmGrid'
export type { SamplingOptions } from './schedules/request'
export { multistepTimesteps, type Spacing, spacedTimesteps } from './schedules/spaced'
export {
  type BetaSchedule,
  type TrainingTable,
  type TrainingTableOptions,
  trainingTable,
} from './schedules/trainingTable'
export { type TcdOptions, tcd } from './tcd'
export { replayTrace, type SamplerTrace, type TracedTerm, traceSampler } from './trace'
export { type UnipcOptions, unipc } from './unipc'
