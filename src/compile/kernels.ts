/** The step vocabulary of Programs: kernels with their operands and attributes, and epilogue ops. Mirrored by native/core/kernels.def. */

/** A kernel of the flat program: what it reads, and its attributes in encoding order. */
export interface KernelSpec {
  /** Operand names in order; `?` marks optional ones (encoded as absent). */
  readonly operands: readonly string[]
  /** Attribute names in order; all numbers. A trailing `...` stands for any number of values. */
  readonly attrs: readonly string[]
  /** Set where a vector of x has been read for the last time when that vector of the result is written: it may be x's own. */
  readonly inPlace?: true
}

/**
 * Kernels in the order of their codes. A step computes `out = epilogue(kernel(operands))`.
 *
 * | kernel | computes |
 * |---|---|
 * | matmul | x [M, K] · weight [N, K]ᵀ + bias [N] -> [M, N]; strassen 1: as seven products of halves, 0: as one sum |
 * | conv2d | x [H, W, C], weight [O, kh, kw, C] + bias [O] -> [H', W', O], zero padding; upsample 2: over x with every pixel doubled; tile m: by Winograd's F(m×m), 0: as one sum |
 * | | both, quantizeX 16 or 32: of x as int8 with sums in so many bits, with a scale and a zero point of its own for every vector of a matmul and every picture of a conv2d |
 * | attention | softmax(q kᵀ · scale) v per head, q [L, N·K], k and v [S, N·K]; keys at or after kvLength do not exist |
 * | layer_norm | over the last axis, biased variance, optional affine |
 * | group_norm | x [H, W, C] over pixels and the channels of a group |
 * | rms_norm | x / sqrt(mean(x²) + eps) · weight over the last axis |
 * | softmax | over the last axis |
 * | elementwise | x unchanged: what it does is its epilogue; also converts dtype and copies views |
 * | embedding | table [V, D] rows by ids [L] -> [L, D]; ids outside the table fail the run |
 * | strided_copy | out[i0, i1, ...] = x[offset + i0·s0 + i1·s1 + ...]; attrs: offset, rank, sizes..., strides... (elements of the dense x) |
 * | resize_nearest | [H, W, C] -> [H', W', C], source index floor(i · H / H') |
 * | resize_bilinear | the same, bilinear, align_corners 0 or 1 |
 * | timestep_embedding | t [1] -> [dim]: sinusoid with angles scale·t·maxPeriod^(-i/(dim/2 - shift)); flip 1 puts cos first |
 */
export const KERNELS = {
  matmul: { operands: ['x', 'weight', 'bias?'], attrs: ['splits', 'kBlock', 'strassen', 'quantizeX'] },
  conv2d: {
    operands: ['x', 'weight', 'bias?'],
    attrs: [
      'kernelH',
      'kernelW',
      'strideH',
      'strideW',
      'padTop',
      'padLeft',
      'padBottom',
      'padRight',
      'splits',
      'kBlock',
      'upsample',
      'tile',
      'quantizeX',
    ],
  },
  attention: { operands: ['q', 'k', 'v', 'kvLength?'], attrs: ['heads', 'causal', 'scale', 'keyBlock'] },
  layer_norm: { operands: ['x', 'weight?', 'bias?'], attrs: ['eps'], inPlace: true },
  group_norm: { operands: ['x', 'weight?', 'bias?'], attrs: ['groups', 'eps', 'rowBlock'], inPlace: true },
  rms_norm: { operands: ['x', 'weight?'], attrs: ['eps'], inPlace: true },
  softmax: { operands: ['x'], attrs: [], inPlace: true },
  elementwise: { operands: ['x'], attrs: [], inPlace: true },
  embedding: { operands: ['ids', 'table'], attrs: [] },
  strided_copy: { operands: ['x'], attrs: ['offset', 'rank', 'sizesAndStrides...'] },
  resize_nearest: { operands: ['x'], attrs: [] },
  resize_bilinear: { operands: ['x'], attrs: ['alignCorners'] },
  timestep_embedding: { operands: ['t'], attrs: ['flip', 'shift', 'scale', 'maxPeriod'] },
} as const satisfies Record<string, KernelSpec>

export type KernelName = keyof typeof KERNELS

/**
 * Epilogue ops in the order of their codes, applied in float32 to each element v of the kernel's result [M, N] before
 * it is stored. `operand` ones read a buffer with M·N elements (same element), N (per channel) or 1.
 *
 * add v+b · sub v-b · mul v·b · mul_one_plus v·(1+b) · prelu v<0 ? v·b : v · scale v·value · offset v+value ·
 * leaky_relu v<0 ? v·value : v · gelu is erf, gelu_tanh the tanh form, quick_gelu v·sigmoid(1.702 v).
 */
export const EPILOGUE_OPS = [
  'add',
  'sub',
  'mul',
  'mul_one_plus',
  'prelu',
  'scale',
  'offset',
  'leaky_relu',
  'silu',
  'gelu',
  'gelu_tanh',
  'quick_gelu',
  'relu',
  'tanh',
  'sigmoid',
  'exp',
] as const

export type EpilogueName = (typeof EPILOGUE_OPS)[number]
