/** `irodori infer`: runs one network of a model folder on tensors of a file, to compare with another framework. */

import { SingleBar } from 'cli-progress'
import { Command, Option } from 'commander'
import { type Component, type ComponentOptions, loadComponent } from '../pipelines/component'
import { readSafetensors } from '../pipelines/readSafetensors'
import type { Tensor } from '../tensor/tensor'
import { writeSafetensors } from '../weights'
import { dtypeOption, instructionsOption, quantizeOption } from './deviceOptions'
import { formatBytes, formatMs, parseThreads, printJson, unusedLine } from './output'

interface InferOptions extends Pick<ComponentOptions, 'dtype' | 'quantize' | 'instructions' | 'variant'> {
  readonly inputs: string
  readonly output: string
  readonly device: 'cpu' | 'reference'
  readonly threads?: number | 'auto'
  readonly only?: string
  readonly json?: boolean
}

/** The sub-command; the program mounts it and prints what it throws. */
export function inferCommand(): Command {
  return new Command('infer')
    .description('run one network of a diffusers folder on given tensors')
    .argument(
      '<model>',
      'a bundled model, a diffusers folder, the folder of one component, or a known safetensors file',
    )
    .argument('<component>', 'transformer, text_encoder, vae.encoder, vae.decoder, upscaler, ...')
    .requiredOption(
      '--inputs <file>',
      "safetensors with the framework's forward arguments by name, first axis the rows",
    )
    .requiredOption('-o, --output <file>', 'safetensors to write the outputs to, float32')
    .addOption(new Option('--device <name>', 'what runs it').choices(['cpu', 'reference']).default('cpu'))
    .addOption(dtypeOption())
    .addOption(quantizeOption())
    .addOption(instructionsOption())
    .option('--threads <count>', 'threads of the cpu device (default: all)', parseThreads)
    .option('--variant <name>', 'weight files to take where there are several: fp16, bf16')
    .option('--only <names>', 'outputs to make, separated by commas: hidden_states.3,pooler_output')
    .option('--json', 'print times and memory as JSON and nothing else')
    .action(infer)
}

async function infer(model: string, component: string, options: InferOptions): Promise<void> {
  const { device, dtype, quantize, instructions, variant, threads } = options
  const inputs = await readSafetensors(options.inputs)
  const started = performance.now()
  const bar =
    options.json || !process.stderr.isTTY
      ? undefined
      : new SingleBar({ format: 'loading {bar} {percentage}%', hideCursor: true, clearOnComplete: true })
  bar?.start(1, 0)
  using loaded = await loadComponent(model, component, {
    device,
    dtype,
    quantize,
    instructions,
    threads,
    variant,
    onProgress: ({ doneBytes, totalBytes }) => bar?.update(totalBytes > 0 ? doneBytes / totalBytes : 1),
  }).finally(() => bar?.stop())
  const loadMs = performance.now() - started
  const outputs = await loaded.run(inputs, options.only === undefined ? {} : { outputs: options.only.split(',') })
  const runMs = performance.now() - started - loadMs
  await writeSafetensors(options.output, outputs)
  const report = describe(model, loaded, inputs, outputs, { loadMs, runMs })
  if (options.json) printJson(report)
  else process.stdout.write(human(report, options.output))
}

type Report = ReturnType<typeof describe>

function describe(
  model: string,
  loaded: Component,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: Readonly<Record<string, Tensor>>,
  timings: { readonly loadMs: number; readonly runMs: number },
) {
  const { backend, arithmetic, name, threads } = loaded.device.info
  const shapes = (tensors: Readonly<Record<string, Tensor>>) =>
    Object.fromEntries(Object.entries(tensors).map(([tensor, { dtype, shape }]) => [tensor, { dtype, shape }]))
  return {
    model,
    component: loaded.name,
    className: loaded.className,
    device: { backend, arithmetic, name, threads },
    dtype: loaded.dtype,
    quantize: loaded.quantize,
    inputs: shapes(inputs),
    outputs: shapes(outputs),
    timings,
    memory: { ...loaded.memory(), peakBytes: process.resourceUsage().maxRSS * 1024 },
    unused: loaded.unused,
  }
}

function human({ className, device, dtype, quantize, outputs, timings, memory, unused }: Report, file: string): string {
  const lines = [
    `${className} in ${quantize === 'none' ? dtype : `${dtype}, ${quantize},`} on ${device.backend} (${device.arithmetic}, ${device.threads} threads)`,
    ...Object.entries(outputs).map(([name, { shape }]) => `  ${name} [${shape.join(', ')}]`),
    `loaded in ${formatMs(timings.loadMs)}, ran in ${formatMs(timings.runMs)}, ${formatBytes(memory.packBytes)} of weights, ${formatBytes(memory.peakBytes)} at most`,
    ...unusedLine(unused),
    `written to ${file}`,
  ]
  return `${lines.join('\n')}\n`
}
