#!/usr/bin/env node
/** The `irodori` command: parses arguments, runs one sub-command, and turns errors into one line and an exit status. */

import { Command, CommanderError } from 'commander'
import { packageVersion } from '../pipelines/provenance'
import { benchCommand } from './bench'
import { doctorCommand } from './doctor'
import { generateCommand } from './generate'
import { inferCommand } from './infer'
import { inspectCommand } from './inspect'
import { errorLine } from './output'
import { pullCommand } from './pull'

/** Exit status after SIGINT, as shells report it: 128 + 2. */
const INTERRUPTED = 130
const FAILED = 1
const USAGE = 2

function buildProgram(): Command {
  const program = new Command('irodori')
    .description('Pictures from text, in this process.')
    .version(packageVersion(), '-V, --version')
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`${errorLine('usage', text.replace(/^error: /, ''))}\n`) })
    .showHelpAfterError(false)
  for (const command of [
    generateCommand(),
    inferCommand(),
    inspectCommand(),
    pullCommand(),
    doctorCommand(),
    benchCommand(),
  ]) {
    program.addCommand(command.copyInheritedSettings(program))
    for (const nested of command.commands) nested.copyInheritedSettings(command)
  }
  return program
}

/** Runs the command line; the exit status is set, not forced, so that output is written out. */
async function main(argv: readonly string[]): Promise<void> {
  process.once('SIGINT', () => {
    process.stderr.write('\u001b[?25h') // a progress bar may have hidden the cursor
    process.exit(INTERRUPTED)
  })
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0) // the reader of a pipe has left
    throw error
  })
  try {
    await buildProgram().parseAsync(argv)
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : USAGE
    } else {
      process.stderr.write(`${errorLine(codeOf(error), error instanceof Error ? error.message : String(error))}\n`)
      process.exitCode = FAILED
    }
  }
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'internal'
}

void main(process.argv)
