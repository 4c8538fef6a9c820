/** What is measured: networks at the sizes people use, as configs, with the tensors of one call. */

import { philoxNormals } from '../tensor/philox'
import { elements, type Shape } from '../tensor/shape'
import type { Tensor } from '../tensor/tensor'

export type WorkloadSuite = 'denoiser' | 'vae'

/** One network at one size. */
export interface Workload {
  readonly name: string
  readonly title: string
  readonly suite: WorkloadSuite
  /** Component of a model folder: `unet`, `vae.decoder`. */
  readonly component: string
  /** Its `config.json`; or a model that comes with the package, whose weights are used. */
  readonly source: { readonly config: Readonly<Record<string, unknown>> } | { readonly bundled: string }
  /** Rows that are measured. */
  readonly rows: readonly number[]
  /**
   * Tensors of one call by the framework's names.
   *
   * @param turn - counts the runs: every one has a timestep of its own, so that nothing of an earlier one is used again.
   */
  inputs(rows: number, turn: number): Readonly<Record<string, Tensor>>
  /** The output that is compared with a peer's. */
  readonly output: string
}

/** As samplers have them. */
const USUAL_STEPS = 20
const LONG_RUN_MS = 10_000

/** Calls that are measured as the steps of one run: 20, of slow networks as many as fit ten seconds; of what is no denoiser 1. */
export function stepsOfRun({ suite }: Workload, callMs: number): number {
  return suite === 'denoiser' ? Math.max(1, Math.min(USUAL_STEPS, Math.floor(LONG_RUN_MS / callMs))) : 1
}

/** So many calls, rounded up to whole runs. */
export function wholeRuns(calls: number, steps: number): number {
  return Math.max(1, Math.ceil(calls / steps)) * steps
}

const noise = (seed: number, shape: Shape): Tensor => ({
  dtype: 'f32',
  shape,
  data: philoxNormals(seed, 0n, elements(shape)),
})

const timestep = (turn: number): Tensor => ({
  dtype: 'f32',
  shape: [1],
  data: Float32Array.of(((turn * 37) % 997) + 4 / 3),
})

const classLabels = (rows: number): Tensor => ({
  dtype: 'i64',
  shape: [rows],
  data: BigInt64Array.from({ length: rows }, (_, row) => BigInt(7 + row)),
})

/** DiT's inputs for a side of the latent. */
const ditInputs =
  (side: number): Workload['inputs'] =>
  (rows, turn) => ({
    hidden_states: noise(1, [rows, 4, side, side]),
    timestep: timestep(turn),
    class_labels: classLabels(rows),
  })

const DIT = {
  _class_name: 'DiTTransformer2DModel',
  activation_fn: 'gelu-approximate',
  attention_bias: true,
  in_channels: 4,
  norm_elementwise_affine: false,
  norm_eps: 1e-5,
  norm_type: 'ada_norm_zero',
  out_channels: 8,
  patch_size: 2,
}

export const WORKLOADS: readonly Workload[] = [
  {
    name: 'sd15-unet',
    title: 'UNet of Stable Diffusion 1.5, 64x64',
    suite: 'denoiser',
    component: 'unet',
    source: {
      config: {
        _class_name: 'UNet2DConditionModel',
        attention_head_dim: 8,
        block_out_channels: [320, 640, 1280, 1280],
        cross_attention_dim: 768,
        down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
        in_channels: 4,
        layers_per_block: 2,
        out_channels: 4,
        sample_size: 64,
        up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
      },
    },
    rows: [1, 2],
    inputs: (rows, turn) => ({
      sample: noise(1, [rows, 4, 64, 64]),
      timestep: timestep(turn),
      encoder_hidden_states: noise(2, [rows, 77, 768]),
    }),
    output: 'sample',
  },
  {
    name: 'dit-xl',
    title: 'DiT-XL/2, 256x256',
    suite: 'denoiser',
    component: 'transformer',
    source: {
      config: { ...DIT, attention_head_dim: 72, num_attention_heads: 16, num_layers: 28, sample_size: 32 },
    },
    rows: [1],
    inputs: ditInputs(32),
    output: 'sample',
  },
  {
    name: 'dit-small',
    title: 'DiT of 12 layers, 384 wide, 64 tokens',
    suite: 'denoiser',
    component: 'transformer',
    source: {
      config: {
        ...DIT,
        attention_head_dim: 64,
        num_attention_heads: 6,
        num_layers: 12,
        num_embeds_ada_norm: 10,
        sample_size: 16,
      },
    },
    rows: [1],
    inputs: ditInputs(16),
    output: 'sample',
  },
  {
    name: 'emoji-denoiser',
    title: 'denoiser of the bundled model',
    suite: 'denoiser',
    component: 'transformer',
    source: { bundled: 'emoji' },
    rows: [1, 2],
    inputs: (rows, turn) => ({
      hidden_states: noise(1, [rows, 16, 16, 16]),
      timestep: timestep(turn),
      encoder_hidden_states: noise(2, [rows, 16, 256]),
    }),
    output: 'sample',
  },
  {
    name: 'vae-decoder',
    title: 'decoder of the KL autoencoder, 64x64 to 512x512',
    suite: 'vae',
    component: 'vae.decoder',
    source: {
      config: {
        _class_name: 'AutoencoderKL',
        block_out_channels: [128, 256, 512, 512],
        down_block_types: Array(4).fill('DownEncoderBlock2D'),
        latent_channels: 4,
        layers_per_block: 2,
        sample_size: 512,
        up_block_types: Array(4).fill('UpDecoderBlock2D'),
      },
    },
    rows: [1],
    inputs: (rows) => ({ latent: noise(1, [rows, 4, 64, 64]) }),
    output: 'sample',
  },
  {
    name: 'taesd-decoder',
    title: 'decoder of TAESD, 64x64 to 512x512',
    suite: 'vae',
    component: 'vae.decoder',
    source: { config: { _class_name: 'AutoencoderTiny', latent_channels: 4 } },
    rows: [1],
    inputs: (rows) => ({ latent: noise(1, [rows, 4, 64, 64]) }),
    output: 'sample',
  },
]
