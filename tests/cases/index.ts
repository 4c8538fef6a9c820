/** The cases of every op. */

import { activation } from './activation'
import { attention } from './attention'
import { add, modulate, mul, mulOnePlus, sub } from './binary'
import type { OpCases } from './case'
import { conv2d } from './conv2d'
import { clampTanh, geglu, leakyRelu, offset, prelu, scale } from './elementwise'
import { embedding } from './embedding'
import { groupNorm } from './groupNorm'
import { layerNorm } from './layerNorm'
import { linear } from './linear'
import { concat, depthToSpace, permute, pixelShuffle, pixelUnshuffle, reshape, slice } from './rearrange'
import { resizeBilinear, resizeNearest } from './resize'
import { rmsNorm } from './rmsNorm'
import { softmax } from './softmax'
import { timestepEmbedding } from './timestepEmbedding'

export type { CaseOperand, OpCase, OpCases } from './case'

export const ALL_CASES: readonly OpCases[] = [
  activation,
  add,
  attention,
  clampTanh,
  concat,
  conv2d,
  depthToSpace,
  embedding,
  geglu,
  groupNorm,
  layerNorm,
  leakyRelu,
  linear,
  modulate,
  mul,
  mulOnePlus,
  offset,
  permute,
  pixelShuffle,
  pixelUnshuffle,
  prelu,
  reshape,
  resizeBilinear,
  resizeNearest,
  rmsNorm,
  scale,
  slice,
  softmax,
  sub,
  timestepEmbedding,
]
