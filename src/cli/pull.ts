/** `irodori pull`: downloads a model into the cache that Hugging Face's tools share. */

import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import { type PullProgress, pull } from '../hub/pull'
import { formatBytes, formatTable, printJson } from './output'

interface Flags {
  readonly revision?: string
  readonly include?: readonly string[]
  readonly variant?: string
  readonly json?: boolean
}

export function pullCommand(): Command {
  return new Command('pull')
    .description('download a model from the hub: what a pipeline needs, resumed and checked')
    .argument('<id>', 'owner/name or owner/name@revision')
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .option('--variant <name>', 'weights of a variant, fp16 for instance (default: the plain ones)')
    .option('--include <pattern...>', 'exactly the files that fit, for instance "*.fp16.safetensors"')
    .option('--json', 'print one JSON document and nothing else')
    .addHelpText(
      'after',
      `
Environment:
  HF_HOME, HF_HUB_CACHE  where the cache is
  HF_TOKEN               for repositories that are not open to all
  HF_ENDPOINT            another hub`,
    )
    .action((id: string, flags: Flags, command: Command) => {
      if (flags.include && flags.variant) command.error('error: --include and --variant do not go together')
      return pullModel(id, flags)
    })
}

async function pullModel(id: string, flags: Flags): Promise<void> {
  const { revision, include, variant, json } = flags
  const bar = !json && process.stderr.isTTY ? new Bar() : undefined
  const started = performance.now()
  const result = await pull(id, {
    revision,
    include,
    variant,
    onProgress: bar && ((state) => bar.update(state)),
  }).finally(() => bar?.stop())
  if (json) {
    printJson(result)
    return
  }
  const { files, receivedBytes, folder, commit } = result
  const rows = files.map(({ path, sizeBytes, cached }) => [path, formatBytes(sizeBytes), cached ? 'was there' : ''])
  const seconds = (performance.now() - started) / 1000
  process.stdout.write(
    `${formatTable(rows)}\n${formatBytes(receivedBytes)} received in ${seconds.toFixed(1)} s, commit ${commit}\n${folder}\n`,
  )
}

/** How many bytes of how many, and of which file. */
class Bar {
  readonly #bar = new SingleBar({
    format: '[{bar}] {percentage} %  {done} of {all}  {file}',
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    barsize: 24,
  })
  #started = false

  update({ file, doneBytes, totalBytes }: PullProgress): void {
    const payload = { file, done: formatBytes(doneBytes), all: formatBytes(totalBytes) }
    if (this.#started) this.#bar.update(doneBytes, payload)
    else this.#bar.start(totalBytes, doneBytes, payload)
    this.#started = true
  }

  stop(): void {
    this.#bar.stop()
  }
}
