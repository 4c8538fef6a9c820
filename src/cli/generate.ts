/** `irodori generate`: pictures from text. */

import path from 'node:path'
import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import { makeGrid } from '../images/grid'
import { checkTarget, type Image } from '../images/image'
import type { StreamEvent } from '../pipelines/events'
import type { StreamOptions } from '../pipelines/generateOptions'
import { type LoadPipelineOptions, loadPipeline } from '../pipelines/load'
import { randomSeed } from '../pipelines/pictureRequests'
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
  readonly grid: boolean
  readonly columns?: number
  readonly size?: StreamOptions['size']
  readonly style?: string
  readonly guidance?: number
  readonly sampler?: string
  readonly schedule?: StreamOptions['schedule']
  readonly rng?: StreamOptions['rng']
  readonly init?: string
  readonly mask?: string
  readonly maskBlur?: number
  readonly strength?: number
  readonly control?: readonly string[]
  readonly controlNet?: readonly string[]
  readonly controlScale?: readonly number[]
  readonly hires?: number
  readonly upscale?: number
  readonly transparent?: boolean
  readonly clipSkip?: number
  readonly lora?: readonly NonNullable<LoadPipelineOptions['loras']>[number][]
  readonly embedding?: readonly string[]
  readonly vae?: string
  readonly upscaler?: string
  readonly model: string
  readonly device?: LoadPipelineOptions['device']
  readonly dtype?: LoadPipelineOptions['dtype']
  readonly quantize?: LoadPipelineOptions['quantize']
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

/** The written grid of several. */
type WrittenGrid = Omit<Written, 'seed'>

export function generateCommand(): Command {
  return new Command('generate')
    .description('make pictures from text')
    .argument('<prompt...>', 'what to draw, in words the model knows; several words need no quotes')
    .option('-o, --output <file>', 'where to write: .png, .webp, .jpg or .avif (default: the prompt and the seed)')
    .option('--negative <prompt>', 'what to stay away from')
    .option('--steps <n>', 'sampler steps', parseNumber)
    .option('--seed <n>', 'whole number that decides the noise (default: random)', parseWhole)
    .option(
      '--count <n>',
      'how many pictures; their seeds count up; with a grid of all of them, cat.grid.png',
      parseNumber,
    )
    .option('--columns <n>', 'pictures in a row of the grid (default: as many as make it about square)', parseNumber)
    .option('--no-grid', 'write the pictures alone')
    .option('--size <pixels>', 'side of the picture, or 768x512', parseSize)
    .option('--style <name>', 'a style of the model, put to the prompt')
    .option('--guidance <scale>', 'how strongly the prompt is followed; 1 is off', parseNumber)
    .option('--sampler <name>', SAMPLER_NAMES.join(', '))
    .option('--schedule <name>', SCHEDULE_NAMES.join(', '))
    .option('--init <file>', 'a picture to start from')
    .option('--strength <share>', 'share of the noise a run from --init starts with, above 0, at most 1', parseNumber)
    .option('--mask <file>', 'where --init is drawn anew: white')
    .option('--mask-blur <pixels>', 'how softly new and kept meet', parseNumber)
    .option('--control <file>', 'a hint for a ControlNet; may be given again for the next', collect)
    .option('--control-net <path>', 'a ControlNet, folder or file; may be given again', collect)
    .option('--control-scale <scale>', 'how strongly a hint is followed; may be given again', collectNumbers)
    .option('--hires <scale>', 'a second pass, so many times larger', parseNumber)
    .option('--upscale <factor>', 'enlarge the picture with the upscaler', parseNumber)
    .option('--transparent', 'cut the picture out, for models whose decoder gives opacity; .png, .webp or .avif')
    .option('--clip-skip <n>', 'layers of the text encoder that are left out', parseNumber)
    .option('--rng <name>', 'philox, or torch-cpu to compare with diffusers')
    .option('--model <name>', 'a bundled model, a diffusers folder, a safetensors file or a pulled id', 'emoji')
    .option('--lora <file[:scale]>', 'a LoRA and its weight; may be given again', collectLoras)
    .option('--embedding <file>', 'an embedding, named in prompts as its file is; may be given again', collect)
    .option('--vae <path>', 'another autoencoder, folder or file')
    .option('--upscaler <path>', 'an upscaler, folder or file')
    .option('--device <name>', 'cpu or reference')
    .option('--dtype <name>', 'f32, bf16 or f16 (default: the device’s best)')
    .option(
      '--quantize <how>',
      'int8, int8-weights or bf16-weights: faster or smaller, and a little less exact (default: none)',
    )
    .option('--instructions <name>', 'auto, portable, avx2, avx512, avx512_bf16 or amx')
    .option('--threads <n>', 'auto or a number', parseThreads)
    .option('--quality <n>', '1 to 100, for webp, jpg and avif', parseNumber)
    .option('--metadata-prompt', 'write the prompt into the file too')
    .option('--no-metadata', 'write no metadata into the file')
    .option('--json', 'print one JSON document and nothing else')
    .option('--show', 'show the picture in the terminal (default: when it can)')
    .option('--no-show', 'do not')
    .action((words: string[], flags: Flags, command: Command) => {
      if (flags.json && flags.show) command.error('error: --show and --json do not go together')
      if ((flags.controlScale?.length ?? 0) > (flags.control?.length ?? 0)) {
        command.error('error: expected a --control for each --control-scale')
      }
      if (flags.columns !== undefined) checkColumns(command, flags.columns, flags)
      if (!flags.metadata && flags.metadataPrompt) {
        command.error('error: --metadata-prompt and --no-metadata do not go together')
      }
      return generate(words.join(' '), flags)
    })
}

/** Told before anything is drawn. */
function checkColumns(command: Command, columns: number, { count = 1, grid }: Flags): void {
  if (!grid) command.error('error: --columns and --no-grid do not go together')
  if (count === 1) command.error('error: expected a --count above 1 with --columns')
  if (Number.isInteger(columns) && columns >= 1 && columns <= count) return
  command.error(`error: --columns: expected a whole number from 1 to ${count}, got ${columns}`)
}

async function generate(prompt: string, flags: Flags): Promise<void> {
  // Chosen here, so that each picture can be named and written as soon as it is there.
  const { seed = randomSeed() } = flags
  const several = (flags.count ?? 1) > 1
  await checkTarget(outputFile(flags, prompt, 0, seed), { quality: flags.quality }, flags.transparent)
  const protocol = flags.json ? undefined : chooseProtocol(flags.show)
  const started = performance.now()
  const { device, dtype, quantize, instructions, threads, model, vae, upscaler, controlNet, lora, embedding } = flags
  await using pipe = await loadPipeline(model, {
    device,
    dtype,
    quantize,
    instructions,
    threads,
    vae,
    upscaler,
    controlNets: controlNet,
    loras: lora,
    inversions: embedding?.map((file) => ({ file })),
  })
  const loadMs = performance.now() - started
  const written: Written[] = []
  const images: Image[] = []
  const result = await drive(pipe, streamOptions(prompt, { ...flags, seed }), !flags.json, async (image, index) => {
    const own = typeof seed === 'bigint' ? seed + BigInt(index) : seed + index
    const file = outputFile(flags, prompt, index, own)
    await image.save(file, { quality: flags.quality })
    written.push({ file, width: image.width, height: image.height, seed: own })
    if (several && flags.grid) images.push(image)
    if (protocol !== undefined) {
      process.stdout.write(await pictureForTerminal(image, protocol, process.stdout.columns ?? 80))
    }
    if (!flags.json) process.stdout.write(`${file}  ${image.width}x${image.height}  seed ${own}\n`)
  })
  const grid = images.length > 0 ? await saveGrid(images, gridFile(flags, prompt, seed), flags) : undefined
  if (flags.json) {
    const { name, modelHash, device: where, dtype: type, quantize: quantized } = pipe.info
    const timings = { loadMs, ...result.timings }
    printJson({
      prompt,
      images: written,
      ...(grid ? { grid } : {}),
      warnings: result.warnings,
      timings,
      model: { name, hash: modelHash },
      device: where,
      dtype: type,
      quantize: quantized,
    })
    return
  }
  if (grid) process.stdout.write(`${grid.file}  ${grid.width}x${grid.height}  ${images.length} pictures\n`)
  for (const { message } of result.warnings) process.stderr.write(`warning: ${message}\n`)
  const { textMs, encodeMs, denoiseMs, decodeMs, upscaleMs, totalMs } = result.timings
  const encode = flags.init === undefined ? '' : `encode ${formatMs(encodeMs)}, `
  const parts = `text ${formatMs(textMs)}, ${encode}denoise ${formatMs(denoiseMs)}, decode ${formatMs(decodeMs)}, upscale ${formatMs(upscaleMs)}`
  process.stdout.write(`${formatMs(totalMs)} (${parts}; load ${formatMs(loadMs)})\n`)
}

async function saveGrid(images: readonly Image[], file: string, { columns, quality }: Flags): Promise<WrittenGrid> {
  const grid = await makeGrid(images, { columns })
  await grid.save(file, { quality })
  return { file, width: grid.width, height: grid.height }
}

function streamOptions(prompt: string, flags: Flags): StreamOptions {
  const { negative, metadata, metadataPrompt, control, controlScale = [], hires } = flags
  const { steps, seed, count, size, style, guidance, sampler, schedule, rng, init, mask, maskBlur, strength } = flags
  return {
    prompt,
    negativePrompt: negative,
    ...{ steps, seed, count, size, style, guidance, sampler, schedule, rng, init, mask, maskBlur, strength },
    upscale: flags.upscale,
    transparent: flags.transparent,
    clipSkip: flags.clipSkip,
    control: control?.map((image, i) => ({ image, scale: controlScale[i] })),
    hires: hires === undefined ? undefined : { scale: hires },
    metadata: metadataPrompt ? { prompt: true } : metadata,
  }
}

/** `512` or `768x512`. */
function parseSize(text: string): StreamOptions['size'] {
  const [, width, height] = /^(\d+)x(\d+)$/.exec(text) ?? []
  return width && height ? { width: Number(width), height: Number(height) } : parseNumber(text)
}

const collect = (text: string, earlier: readonly string[] = []) => [...earlier, text]
const collectNumbers = (text: string, earlier: readonly number[] = []) => [...earlier, parseNumber(text)]

/** `style.safetensors`, or with its weight `style.safetensors:0.8`. */
function collectLoras(text: string, earlier: Flags['lora'] = []): Flags['lora'] {
  const [, file = text, scale] = /^(.+):(-?\d*\.?\d+)$/.exec(text) ?? []
  return [...earlier, scale === undefined ? { file } : { file, scale: Number(scale) }]
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

/** The file for the grid: that of a picture alone, and `.grid` before the extension. */
function gridFile(flags: Flags, prompt: string, seed: number | bigint): string {
  const { dir, name, ext } = path.parse(outputFile({ ...flags, count: 1 }, prompt, 0, seed))
  return path.join(dir, `${name}.grid${ext}`)
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
