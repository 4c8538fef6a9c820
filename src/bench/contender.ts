/**
 * Who is measured: a process of its own for each, so that peak memory is its own, told over pipes whose turn it is.
 *
 * One JSON document a line. `{do: 'load', ...}` is answered once with what was loaded, `{do: 'run', rows, calls, steps}`
 * with the milliseconds of each call, of which every `steps` are the steps of one run, `{do: 'output', rows, calls}` with
 * `{ms, data}`, the output's values as base64 of float32, `{do: 'memory'}` with the peak so far; each answer is
 * `{ok: ...}` or `{error: text}`. A process ends when its input does.
 */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { EngineError } from '../errors'
import type { Tensor } from '../tensor/tensor'

/** How a contender is started. */
export interface ContenderCommand {
  /** `irodori`, `onnxruntime-node fp32`. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** What it is told to load. */
  readonly load: Readonly<Record<string, unknown>>
}

/** What it says of itself once loaded. */
export interface Loaded {
  readonly loadMs: number
  /** Versions and settings. */
  readonly about: Readonly<Record<string, string | number>>
}

/** Tensors of one call, by the framework's names. */
export type Call = Readonly<Record<string, Tensor>>

/** The answer to `output`. */
export interface OutputAnswer {
  readonly ms: number
  readonly data: string
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

/** Lines of its complaints that are kept for the message when it fails. */
const KEPT_COMPLAINTS = 8

export class Contender {
  readonly name: string
  readonly #child: ChildProcessWithoutNullStreams
  readonly #waiting: Waiting[] = []
  #complaints: string[] = []
  #ended: Error | undefined

  /** Starts the process; {@link load} says whether it works. */
  constructor({ name, command, args }: ContenderCommand) {
    this.name = name
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answer(line))
    createInterface({ input: this.#child.stderr }).on('line', (line) => {
      this.#complaints = [...this.#complaints, line].slice(-KEPT_COMPLAINTS)
    })
    this.#child.stdin.on('error', () => undefined) // its end is told by `exit`
    this.#child.once('error', (cause) => this.#end(cause.message))
    this.#child.once('close', (code, signal) => this.#end(`ended with ${signal ?? code}`))
  }

  load(command: ContenderCommand): Promise<Loaded> {
    return this.#ask({ do: 'load', ...command.load }) as Promise<Loaded>
  }

  /** Milliseconds of each call; every `steps` of them are the steps of one run. */
  run(rows: number, calls: readonly Call[], steps: number): Promise<readonly number[]> {
    return this.#ask({ do: 'run', rows, calls: calls.map(encodeCall), steps }) as Promise<readonly number[]>
  }

  /** One call with its output. */
  async output(rows: number, call: Call): Promise<{ readonly ms: number; readonly values: Float32Array }> {
    const { ms, data } = (await this.#ask({ do: 'output', rows, calls: [encodeCall(call)] })) as OutputAnswer
    const bytes = Buffer.from(data, 'base64')
    return { ms, values: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)) }
  }

  async peakMemoryBytes(): Promise<number> {
    return (await this.#ask({ do: 'memory' })) as number
  }

  /** Ends the process. Idempotent. */
  dispose(): void {
    this.#child.stdin.end()
    this.#child.kill()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #ask(question: object): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#child.stdin.write(`${JSON.stringify(question)}\n`)
    })
  }

  #answer(line: string): void {
    const waiting = this.#waiting.shift()
    if (!waiting) return
    try {
      const answer = JSON.parse(line) as { ok?: unknown; error?: string }
      if (answer.error === undefined) waiting.resolve(answer.ok)
      else waiting.reject(new EngineError('internal', `${this.name}: ${answer.error}`))
    } catch {
      waiting.reject(new EngineError('internal', `${this.name}: expected a line of JSON, got ${line.slice(0, 120)}`))
    }
  }

  #end(how: string): void {
    const said = this.#complaints.length > 0 ? `: ${this.#complaints.join('; ')}` : ''
    this.#ended ??= new EngineError('internal', `${this.name}: expected a process that answers, it ${how}${said}`)
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended)
  }
}

/** A tensor as JSON: its bytes as base64, in the order of this machine. */
export interface EncodedTensor {
  readonly dtype: Tensor['dtype']
  readonly shape: readonly number[]
  readonly data: string
}

export function encodeCall(call: Call): Record<string, EncodedTensor> {
  return Object.fromEntries(
    Object.entries(call).map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64') },
    ]),
  )
}

export function decodeCall(call: Readonly<Record<string, EncodedTensor>>): Call {
  return Object.fromEntries(Object.entries(call).map(([name, tensor]) => [name, decodeTensor(tensor)]))
}

function decodeTensor({ dtype, shape, data }: EncodedTensor): Tensor {
  const bytes = Uint8Array.from(Buffer.from(data, 'base64'))
  switch (dtype) {
    case 'f32':
      return { dtype, shape, data: new Float32Array(bytes.buffer) }
    case 'i64':
      return { dtype, shape, data: new BigInt64Array(bytes.buffer) }
    case 'i32':
      return { dtype, shape, data: new Int32Array(bytes.buffer) }
    case 'f16':
    case 'bf16':
      return { dtype, shape, data: new Uint16Array(bytes.buffer) }
    case 'u8':
      return { dtype, shape, data: bytes }
    default:
      return dtype satisfies never
  }
}
