/** What a model was made of, as lines for people. */

import { existsSync } from 'node:fs'
import type { ModelProvenance, ModelScore, ProvenanceSource, TrainingCost } from '../pipelines/modelProvenance'
import { formatCount, formatTable } from './output'

/** Sources, cost of training, scores, limits and cards; what is not known has no line. */
export function describeProvenance({ sources, training, scores, limits, cards }: ModelProvenance): string[] {
  const blocks = [
    formatTable([['made from', 'number', 'licence', 'name'], ...sources.map(sourceRow)]).split('\n'),
    training ? [`training: ${costOf(training)}`] : [],
    scores.length > 0 ? formatTable([SCORE_HEADER, ...scores.map(scoreRow)]).split('\n') : [],
    Object.entries(limits).map(([language, text]) => `limits (${language}): ${text}`),
    Object.entries(cards).map(
      ([language, file]) => `card (${language}): ${file}${existsSync(file) ? '' : ' (not there)'}`,
    ),
  ]
  return blocks.filter((lines) => lines.length > 0).flatMap((lines, i) => (i === 0 ? lines : ['', ...lines]))
}

const whole = (count: number) => count.toLocaleString('en')

function sourceRow({ kind, name, licence, count }: ProvenanceSource): string[] {
  return [kind, count === undefined ? '-' : whole(count), licence, name ?? '-']
}

function costOf({ hours, processor, dollars, dollarsPerHour, steps, pictures, flops }: TrainingCost): string {
  const parts = [
    `${hours} hours${processor === undefined ? '' : ` on ${processor}`}`,
    ...(dollars === undefined
      ? []
      : [`$${dollars.toFixed(2)}${dollarsPerHour === undefined ? '' : ` at $${dollarsPerHour} an hour`}`]),
    ...(steps === undefined ? [] : [`${whole(steps)} steps`]),
    ...(pictures === undefined ? [] : [`${whole(pictures)} pictures`]),
    ...(flops === undefined ? [] : [`${formatCount(flops)}FLOP`]),
  ]
  return parts.join('; ')
}

const SCORE_HEADER = ['score', 'value', 'of', 'language', 'steps', 'drawings']

function scoreRow({ measure, value, of, language, steps, count }: ModelScore): string[] {
  return [measure, String(value), of ?? '-', language ?? '-', String(steps ?? '-'), count ? whole(count) : '-']
}
