/** `irodori generate`: pictures from text. */

import path from 'node:path'
import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import { checkTarget, type Image } from '../images/image'
import type { StreamEvent } from '../pipelines/events'
import { randomSeed, type StreamOptions } from '../pipelines/generateOptions'
import { type LoadPipelineOptions, loadPipeline } from '../pipelines/load'
import type { Pipeline } from '../pipelines/pipeline'
import type { GenerateResult } from '../pipelines/result'
import { SAMPLER_NAMES } from '../samplers/registry'
import { SCHEDULE_NAMES } from '../samplers/schedules/request'
import { formatMs, parseNumber, parseThreads, parseWhole, printJson } from './output'
import { type PictureProtocol, pictureForTerminal, pictureProtocol } from './terminal'

interface Flags {
  readonly output?: string
  readonly negative?: string
  readonly steps?: number
  readonly seed?: number | bigint
  readonly count?: number
  readonly size?: number
  readonly guidance?: number
  readonly sampler?: string
  readonly schedule?: StreamOptions['schedule']
  readonly rng?: StreamOptions['rng']
  readonly model: string
  readonly device?: LoadPipelineOptions['device']
  readonly dtype?: LoadPipelineOptions['dtype']
  readonly instructions?: LoadPipelineOptions['instructions']
  readonly threads?: LoadPipelineOptions['threads']
  readonly metadata: boolean
  readonly metadataPrompt?: boolean
  readonly quality?: number
  readonly json?: boolean
  readonly show?: boolean
}

/** A written picture, as `--json` lists it. */
interface Written {
  readonly file: string
  readonly width: number
  readonly height: number
  readonly seed: number | bigint
}

export function generateCommand(): Command {
  return new Command('generate')
    .description('make pictures from text')
    .argument('<prompt...>', 'what to draw, in words the model knows; several words need no quotes')
    .option('-o, --output <file>', 'where to write: .png, .webp, .jpg or .avif (default: the prompt and the seed)')
    .option('--negative <prompt>', 'what to stay away from')
    .option('--steps <n>', 'sampler steps', parseNumber)
    .option('--seed <n>', 'whole number that decides the noise (default: random)', parseWhole)
    .option('--count <n>', 'how many pictures; their seeds count up', parseNumber)
    .option('--size <pixels>', 'side of the picture', parseNumber)
    .option('--guidance <scale>', 'how strongly the prompt is followed; 1 is off', parseNumber)
    .option('--sampler <name>', SAMPLER_NAMES.join(', '))
    .option('--schedule <name>', SCHEDULE_NAMES.join(', '))
    .option('--rng <name>', 'philox, or torch-cpu to compare with diffusers')
    .option('--model <name>', 'a bundled model or a diffusers folder', 'emoji')
    .option('--device <name>', 'cpu or reference')
    .option('--dtype <name>', 'f32, bf16 or f16 (default: the device’s best)')
    .option('--instructions <name>', 'auto, portable, avx2, avx512 or amx')
    .option('--threads <n>', 'auto or a number', parseThreads)
    .option('--quality <n>', '1 to 100, for webp, jpg and avif', parseNumber)
    .option('--metadata-prompt', 'write the prompt into the file too')
    .option('--no-metadata', 'write no metadata into the file')
    .option('--json', 'print one JSON document and nothing else')
    .option('--show', 'show the picture in the terminal (default: when it can)')
    .option('--no-show', 'do not')
    .action((words: string[], flags: Flags, command: Command) => {
      if (flags.json && flags.show) command.error('error: --show and --json do not go together')
      if (!flags.metadata && flags.metadataPrompt) {
        command.error('error: --metadata-prompt and --no-metadata do not go together')
      }
      return generate(words.join(' '), flags)
    })
}

async function generate(prompt: string, flags: Flags): Promise<void> {
  // Chosen here, so that each picture can be named and written as soon as it is there.
  const { seed = randomSeed() } = flags
  await checkTarget(outputFile(flags, prompt, 0, seed), { quality: flags.quality })
  const protocol = flags.json ? undefined : chooseProtocol(flags.show)
  const started = performance.now()
  const { device, dtype, instructions, threads, model } = flags
  await using pipe = await loadPipeline(model, { device, dtype, instructions, threads })
  const loadMs = performance.now() - started
  const written: Written[] = []
  const result = await drive(pipe, streamOptions(prompt, { ...flags, seed }), !flags.json, async (image, index) => {
    const own = typeof seed === 'bigint' ? seed + BigInt(index) : seed + index
    const file = outputFile(flags, prompt, index, own)
    await image.save(file, { quality: flags.quality })
    written.push({ file, width: image.width, height: image.height, seed: own })
    if (protocol !== undefined) {
      process.stdout.write(await pictureForTerminal(image, protocol, process.stdout.columns ?? 80))
    }
    if (!flags.json) process.stdout.write(`${file}  ${image.width}x${image.height}  seed ${own}\n`)
  })
  if (flags.json) {
    const { name, modelHash, device: where, dtype: type } = pipe.info
    const timings = { loadMs, ...result.timings }
    printJson({
      prompt,
      images: written,
      warnings: result.warnings,
      timings,
      model: { name, hash: modelHash },
      device: where,
      dtype: type,
    })
    return
  }
  for (const { message } of result.warnings) process.stderr.write(`warning: ${message}\n`)
  const { textMs, denoiseMs, decodeMs, upscaleMs, totalMs } = result.timings
  const parts = `text ${formatMs(textMs)}, denoise ${formatMs(denoiseMs)}, decode ${formatMs(decodeMs)}, upscale ${formatMs(upscaleMs)}`
  process.stdout.write(`${formatMs(totalMs)} (${parts}; load ${formatMs(loadMs)})\n`)
}

function streamOptions(prompt: string, flags: Flags): StreamOptions {
  const { negative, steps, seed, count, size, guidance, sampler, schedule, rng, metadata, metadataPrompt } = flags
  return {
    prompt,
    negativePrompt: negative,
    steps,
    seed,
    count,
    size,
    guidance,
    sampler,
    schedule,
    rng,
    metadata: metadataPrompt ? { prompt: true } : metadata,
  }
}

/** Runs the request with a bar on a terminal's stderr; a picture is handed on while the next are drawn. */
async function drive(
  pipe: Pipeline,
  options: StreamOptions,
  bars: boolean,
  onImage: (image: Image, index: number) => Promise<void>,
): Promise<Omit<GenerateResult, 'images'>> {
  const progress = bars && process.stderr.isTTY ? new Progress() : undefined
  let done: Extract<StreamEvent, { type: 'done' }> | undefined
  try {
    for await (const event of pipe.stream(options)) {
      if (event.type === 'progress') progress?.update(event)
      else if (event.type === 'image') {
        progress?.stop()
        await onImage(event.image, event.index)
      } else if (event.type === 'done') done = event
    }
  } finally {
    progress?.stop()
  }
  if (done === undefined) throw new Error('the stream ended without its last event')
  return done
}

/** One bar that says which stage it is in; after a stop the next news draws it again. */
class Progress {
  readonly #bar = new SingleBar({
    format: '{stage} [{bar}] {value}/{total}',
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    barsize: 24,
  })
  #stage = ''

  update({ stage, done, of }: Extract<StreamEvent, { type: 'progress' }>): void {
    const label = stage.padEnd(7)
    if (stage === this.#stage) this.#bar.update(done, { stage: label })
    else this.#bar.start(of, done, { stage: label })
    this.#stage = stage
  }

  stop(): void {
    this.#bar.stop()
    this.#stage = ''
  }
}

/** `--show` falls back on half blocks where the terminal says nothing of itself. */
function chooseProtocol(show: boolean | undefined): PictureProtocol | undefined {
  if (show === false) return undefined
  return pictureProtocol(process.env, process.stdout.isTTY === true) ?? (show ? 'blocks' : undefined)
}

/** The file for a picture: as given, numbered when there are several, or named after prompt and seed. */
function outputFile(flags: Flags, prompt: string, index: number, seed: number | bigint): string {
  if (flags.output === undefined) return `${fileStem(prompt)}-${seed}.png`
  if ((flags.count ?? 1) === 1) return flags.output
  const { dir, name, ext } = path.parse(flags.output)
  return path.join(dir, `${name}-${index + 1}${ext}`)
}

/** The prompt as a file name: letters and digits of any script, cut at 40 characters. */
function fileStem(prompt: string): string {
  const stem = prompt
    .normalize('NFC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '')
  return [...stem].slice(0, 40).join('') || 'picture'
}
