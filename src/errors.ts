/** The one error class of the package and its closed union of codes, shared with native code. */

/** Every code an {@link EngineError} can carry. The native side has the same list in `native/core/error_codes.def`. */
export const ERROR_CODES = [
  'invalid-argument',
  'invalid-option',
  'unknown-option',
  'shape-mismatch',
  'dtype-mismatch',
  'missing-input',
  'unknown-input',
  'missing-file',
  'io',
  'invalid-safetensors',
  'invalid-config',
  'invalid-tokenizer',
  'unsupported-model',
  'unsupported-format',
  'unknown-component',
  'missing-tensor',
  'lora-mismatch',
  'invalid-graph',
  'invalid-program',
  'unknown-sampler',
  'unavailable-device',
  'unavailable-binding',
  'out-of-memory',
  'disposed',
  'internal',
] as const

/** What went wrong, as a word a program can branch on. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** Facts about the place of an error: file, tensor, option, expected and got. */
export type ErrorContext = Readonly<Record<string, unknown>>

/**
 * The only error irodori throws, apart from aborts and programming errors of its own.
 *
 * The message says where, what was expected and what was got; `context` has the same facts as data.
 * Tell errors apart by `code`, never by class: a process may hold two copies of the package.
 */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly code: ErrorCode
  readonly context: ErrorContext

  /**
   * @param code - what went wrong.
   * @param message - where, expected, got.
   * @param context - the same facts as data; `cause` becomes the error's cause.
   */
  constructor(code: ErrorCode, message: string, context: ErrorContext & { readonly cause?: unknown } = {}) {
    const { cause, ...facts } = context
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.context = facts
  }
}

/**
 * The error an aborted call rejects with: `name` is `AbortError`, `code` is `ABORT_ERR`, `cause` is the signal's reason.
 *
 * @param reason - `signal.reason`.
 */
export function abortError(reason: unknown): Error {
  const error = new Error('The operation was aborted', reason === undefined ? undefined : { cause: reason })
  return Object.defineProperties(error, {
    name: { value: 'AbortError', configurable: true, writable: true },
    code: { value: 'ABORT_ERR', configurable: true, enumerable: true, writable: true },
  })
}

/** Throws {@link abortError} when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal.reason)
}
