/** Where a pipeline says what it does. */

/** Every method may be missing. */
export interface Logger {
  debug?(message: string, facts?: object): void
  info?(message: string, facts?: object): void
  warn?(message: string, facts?: object): void
}

/** Tells a logger; one that throws cannot spoil the work it was told of, so its error becomes a process warning. */
export function tellLogger(logger: Logger, level: keyof Logger, message: string, facts: object): void {
  try {
    logger[level]?.(message, facts)
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error))
  }
}
