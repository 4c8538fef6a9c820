/** The command line as a process of its own. */

import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'

/** The program; `npm run build:ts` makes it. */
export const main = path.resolve(__dirname, '..', 'dist', 'cli', 'main.js')

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Where a command runs; the test's own folder and environment where left out. */
export interface Surroundings {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** Starts a command. */
export function startCommand(
  args: readonly string[],
  where: Surroundings,
): { readonly child: ChildProcess; readonly ended: Promise<Outcome> } {
  const child = spawn(process.execPath, [main, ...args], { ...where, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Outcome>((resolve) => child.on('close', (status) => resolve({ status, stdout, stderr })))
  return { child, ended }
}

/** Runs a command to its end. */
export async function runCommand(args: readonly string[], where: Surroundings): Promise<Outcome> {
  return await startCommand(args, where).ended
}
