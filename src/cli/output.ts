/** What commands print: one line per error, one JSON document for machines, numbers that people can read. */

import { InvalidArgumentError } from 'commander'

/** `irodori: code: message`, on one line. */
export function errorLine(code: string, message: string): string {
  return `irodori: ${code}: ${message.trim().replace(/\s*\n\s*/g, '; ')}`
}

/** Writes the one document of `--json`. */
export function printJson(document: unknown): void {
  process.stdout.write(`${JSON.stringify(document, jsonValue, 2)}\n`)
}

/** Seeds beyond 2^53 are written as strings. */
function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** `18.3 MB`, powers of 1000. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 'B')
}

/** `1.2 G`, powers of 1000. */
export function formatCount(count: number): string {
  return scaled(count, '').trimEnd()
}

function scaled(value: number, unit: string): string {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P']
  const power = value < 1000 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(value) / 3))
  const digits = value / 1000 ** power
  return `${power === 0 ? value : digits.toFixed(digits < 10 ? 2 : digits < 100 ? 1 : 0)} ${prefixes[power]}${unit}`
}

/** `0.21 s` or `340 ms`. */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`
}

/** Rows of text as columns, two spaces apart. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  }
  const line = (row: readonly string[]) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}

/** Tells of tensors that a network does not read; nothing when there are none. */
export function unusedLine(unused: readonly string[]): string[] {
  if (unused.length === 0) return []
  const some = unused.slice(0, 4).join(', ')
  return [`${unused.length} tensors of the files are not used: ${some}${unused.length > 4 ? ', ...' : ''}`]
}

/** Parses a number; what is none is a usage error. Ranges are checked by what uses it. */
export function parseNumber(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value)) return value
  throw new InvalidArgumentError('expected a number')
}

/** Parses a whole number of any size; what is none is a usage error. */
export function parseWhole(text: string): number | bigint {
  if (!/^\d{1,20}$/.test(text)) throw new InvalidArgumentError('expected a whole number from 0')
  const value = BigInt(text)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

/** Parses `auto` or a number. */
export function parseThreads(text: string): number | 'auto' {
  return text === 'auto' ? 'auto' : parseNumber(text)
}
