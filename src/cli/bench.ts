/** `irodori bench`: measures this machine and what irodori makes of it, beside peers where they are installed. */

import { writeFile } from 'node:fs/promises'
import { Command, InvalidArgumentError } from 'commander'
import { type BenchOptions, runBench, SUITES, type Suite } from '../bench/benchRun'
import { EngineError } from '../errors'
import { machineLines, networkText, opsText, peaksTable } from './benchTables'
import { dtypeOption, instructionsOption, quantizeOption } from './deviceOptions'
import { parseNumber, parseThreads, printJson } from './output'

interface RunFlags
  extends Pick<
    BenchOptions,
    | 'instructions'
    | 'threads'
    | 'dtype'
    | 'quantize'
    | 'rounds'
    | 'steps'
    | 'rows'
    | 'exported'
    | 'peers'
    | 'python'
    | 'compiled'
    | 'only'
  > {
  readonly suite: readonly Suite[]
  readonly output?: string
  readonly json?: boolean
}

export function benchCommand(): Command {
  return new Command('bench').description('measure this machine, and irodori on it').addCommand(runCommand())
}

function runCommand(): Command {
  return new Command('run')
    .description('time steps, networks and peers; random weights of true sizes, nothing is downloaded')
    .option('--suite <names>', `${SUITES.join(', ')}, separated by commas`, parseSuites, [...SUITES])
    .option('--only <workloads>', 'some workloads: sd15-unet,vae-decoder', parseNames)
    .addOption(dtypeOption())
    .addOption(quantizeOption())
    .addOption(instructionsOption())
    .option('--threads <count>', 'threads, of peers too (default: all)', parseThreads)
    .option(
      '--rows <counts>',
      'rows of a call, steps only of the first: 1,2 (default: one, for some networks also two)',
      parseRows,
    )
    .option(
      '--steps <count>',
      'calls that are the steps of one run, whose timesteps are prepared together; 1: each by itself (default: 20 or what fits ten seconds)',
      parseSteps,
    )
    .option('--rounds <count>', 'blocks in turn with each peer (default: as many as fit a minute, 3 to 9)', parseRounds)
    .option('--exported <folder>', 'weights for all sides, from bench/peers/export.py; without it there are no peers')
    .option('--peers <folder>', "the peers' scripts (default: bench/peers of the checkout)")
    .option('--python <file>', 'a Python with PyTorch and diffusers, which is then a peer')
    .option('--compiled', 'PyTorch compiled, too')
    .option('--json', 'print the report as JSON and nothing else')
    .option('-o, --output <file>', 'write the report as JSON')
    .action(run)
}

/** Exit status after SIGTERM, as shells report it: 128 + 15. */
const TERMINATED = 143

async function run({ suite, output, json, ...options }: RunFlags): Promise<void> {
  // Without a listener the process would end at once, and leave its weights in the temporary folder.
  process.once('SIGTERM', () => process.exit(TERMINATED))
  const say = (text: string) => {
    if (!json) process.stdout.write(`${text}\n\n`)
  }
  const report = await runBench({
    ...options,
    suites: suite,
    onProgress: (text) => {
      if (!json) process.stderr.write(`${text}\n`)
    },
    onOps: (ops) => say(opsText(ops)),
    onNetworks: (networks) => {
      for (const network of networks) say(networkText(network))
    },
  })
  say(peaksTable(report.peaks))
  say(machineLines(report).join('\n'))
  if (json) printJson(report)
  if (output !== undefined) await write(output, report)
}

async function write(file: string, report: object): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(report, null, 1)}\n`)
  } catch (cause) {
    const message = `${file}: cannot be written (${cause instanceof Error ? cause.message : cause})`
    throw new EngineError('io', message, { file, cause })
  }
}

function parseNames(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}

function parseSuites(text: string): Suite[] {
  return parseNames(text).map((name) => {
    const suite = SUITES.find((known) => known === name)
    if (suite === undefined) throw new InvalidArgumentError(`expected ${SUITES.join(', ')}`)
    return suite
  })
}

function parseRounds(text: string): number {
  return wholeNumber(text, 1000)
}

function parseSteps(text: string): number {
  return wholeNumber(text, 200)
}

function parseRows(text: string): number[] {
  return parseNames(text).map((name) => wholeNumber(name, 64))
}

function wholeNumber(text: string, most: number): number {
  const value = parseNumber(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new InvalidArgumentError(`expected 1 to ${most}`)
}
