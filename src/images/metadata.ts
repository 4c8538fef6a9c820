/** Metadata of pictures: how to make one again, as JSON in an XMP packet, which PNG, WebP, JPEG and AVIF all carry. */

import type { Quantization } from '../compile/passes/quantize'
import { EngineError } from '../errors'
import type { SamplerName } from '../samplers/registry'
import type { ScheduleName } from '../samplers/schedules/request'

/** How a picture was made; `optionsFromMetadata` turns it into options that make it again. */
export interface Provenance {
  readonly software: 'irodori'
  readonly version: string
  /** Name of the model and the start of a hash over its weights' identity. */
  readonly model: { readonly name: string; readonly hash: string }
  /** A string when the seed is beyond 2^53. */
  readonly seed: number | string
  readonly rng: 'philox' | 'torch-cpu'
  readonly sampler: SamplerName
  /** Left out when they were the model's own. */
  readonly samplerOptions?: Readonly<Record<string, unknown>>
  /** Left out when it was the model's own. */
  readonly schedule?: ScheduleName
  readonly steps: number
  readonly guidance: number
  /** Share of guidance rescaling; left out when it was none. */
  readonly guidanceRescale?: number
  /** Noise ratios outside which guidance was off; left out when it was on everywhere. */
  readonly guidanceInterval?: readonly [low: number, high: number]
  /** The style that was named; left out when none was. */
  readonly style?: string
  readonly width: number
  readonly height: number
  /** The size that was asked for, where a second pass or enlarging made the picture larger. */
  readonly asked?: { readonly width: number; readonly height: number }
  /** LoRAs that the pipeline had; left out when it had none. */
  readonly loras?: readonly { readonly name: string; readonly hash: string; readonly scale: number }[]
  /** Embeddings that the prompts could name; left out when there were none. */
  readonly inversions?: readonly { readonly name: string; readonly hash: string }[]
  /** What it was made of besides words; pictures by the start of a hash over their pixels. */
  readonly init?: { readonly hash: string; readonly strength: number }
  readonly mask?: { readonly hash: string; readonly blur: number }
  readonly control?: readonly {
    readonly hash: string
    readonly net: string
    readonly scale: number
    readonly interval: readonly [start: number, end: number]
  }[]
  readonly hires?: {
    readonly scale: number
    readonly strength: number
    readonly enlarge: 'latent' | 'picture'
    readonly steps: number
  }
  readonly upscale?: number
  /** Left out when the picture was not cut out. */
  readonly transparent?: true
  /** How many pictures of this size, with seeds that count up, lie in a grid; left out for a picture alone. */
  readonly grid?: { readonly columns: number; readonly count: number }
  /** Tiles the autoencoder worked in; left out when it worked on the whole picture. */
  readonly tiling?: { readonly size: number; readonly overlap: number }
  /** Backend and arithmetic class that decide the bits. */
  readonly device: { readonly backend: string; readonly arithmetic: string }
  readonly dtype: string
  /** Left out when nothing was. */
  readonly quantize?: Exclude<Quantization, 'none'>
  /** Layers of the text encoders that were left out; left out when it was none. */
  readonly clipSkip?: number
  /** Left out when it was the model's own. */
  readonly promptSyntax?: 'plain'
  /** Only when asked for with `metadata: { prompt: true }`. */
  readonly prompt?: string
  readonly negativePrompt?: string
}

const NAMESPACE = 'urn:irodori:1'

/** An XMP packet that holds the provenance. */
export function provenanceToXmp(provenance: Provenance): string {
  const json = escapeXml(JSON.stringify(provenance))
  const tool = escapeXml(`irodori ${provenance.version}`)
  return [
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>', // the id is the same in every packet: XMP part 1, 7.3.2
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">',
    `<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:irodori="${NAMESPACE}">`,
    `<xmp:CreatorTool>${tool}</xmp:CreatorTool><irodori:provenance>${json}</irodori:provenance>`,
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>',
  ].join('')
}

/**
 * The provenance in an XMP packet, or `undefined` when it holds none.
 *
 * @throws {@link EngineError} `invalid-argument` when it holds one that is damaged.
 */
export function provenanceFromXmp(xmp: string): Provenance | undefined {
  const start = xmp.indexOf('<irodori:provenance>')
  const end = xmp.indexOf('</irodori:provenance>', start)
  if (start < 0 || !xmp.includes(NAMESPACE)) return undefined
  try {
    if (end < 0) throw new Error('an element without end')
    const value: unknown = JSON.parse(unescapeXml(xmp.slice(start + '<irodori:provenance>'.length, end)))
    if (typeof value !== 'object' || value === null || !('seed' in value)) throw new Error('another object')
    return value as Provenance // written by provenanceToXmp; readers of older versions check what they use
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause)
    throw new EngineError('invalid-argument', `metadata: expected irodori's provenance as JSON, got ${got}`, { cause })
  }
}

/** Also writes what XML 1.0 forbids (U+FFFE, U+FFFF, C1 controls) as JSON escapes; C0 controls are escaped in JSON already. */
function escapeXml(json: string): string {
  return json
    .replace(/[\x7f-\x9f\ufffe\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
}

function unescapeXml(text: string): string {
  return text.replaceAll('&gt;', '>').replaceAll('&lt;', '<').replaceAll('&amp;', '&')
}
