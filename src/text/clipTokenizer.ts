/**
 * CLIP's tokenizer: prompts to the ids that transformers' `CLIPTokenizer` gives.
 *
 * Radford et al. 2021 (arXiv:2103.00020): byte-level BPE over lower-cased words, a word's last piece marked `</w>`. What
 * is followed is the one implementation of transformers 5, which was CLIPTokenizerFast before: NFC, no ftfy, so that
 * text is not repaired and HTML entities stay as written. The letters and digits there are are those of this Node.js.
 */

import path from 'node:path'
import { throwIfAborted } from '../errors'
import { CLIP_PRE_TOKENIZER, type ClipVocabulary, readClipVocabulary, vocabularyOfMerges } from './clipVocabulary'
import { piecesOf } from './pieces'
import { checkPrompt } from './tokenizer'
import { encodeInTurns, invalidTokenizer, isId, type TokenizerModel, tokenizerModel } from './tokenizerLibrary'

/** Reads text as CLIP's encoders do. */
export interface ClipTokenizer {
  /** All ids are below it. */
  readonly vocabulary: number
  /** Stands before every window. */
  readonly bos: number
  /** Stands behind the text of every window. */
  readonly eos: number
  /** Fills up a window: the end token again for SD1 and SDXL's first encoder, `!` for SD2 and SDXL's second one. */
  readonly pad: number
  /** A comma that ends a word, where long prompts are rather cut; `undefined` when the vocabulary has none. */
  readonly comma: number | undefined
  /**
   * Ids of a text, without start, end and padding. A padding token in the text is read as that token, as transformers
   * does it: `!` is 0 where `!` fills up, else 256. Long texts leave turns to the event loop.
   *
   * @param text - at most `MAX_PROMPT_CHARACTERS` characters; may be empty.
   * @throws {@link EngineError} `invalid-option` when the text is longer than that or no string; `invalid-tokenizer` when
   * the tokenizer has no ids for it.
   */
  encode(text: string): Promise<readonly number[]>
}

/**
 * Opens the tokenizer of a Stable Diffusion folder: `tokenizer.json`, or `vocab.json` and `merges.txt`; and the token
 * that fills up, by `tokenizer_config.json` and `special_tokens_map.json`.
 *
 * @param folder - the component `tokenizer` or `tokenizer_2` of a model folder.
 * @throws {@link EngineError} `missing-file` when there is no vocabulary; `invalid-tokenizer` when a file has another
 * form or is no CLIP tokenizer's.
 */
export async function loadClipTokenizer(
  folder: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ClipTokenizer> {
  return makeClipTokenizer(await readClipVocabulary(folder, options.signal), options.signal)
}

/**
 * The published CLIP vocabulary, which comes with the package: for checkpoints of one file, which have no tokenizer.
 *
 * @param pad - what fills up: `'end'` for SD1 and SDXL's first encoder, `'!'` for SD2 and SDXL's second one.
 */
export async function publishedClipTokenizer(
  pad: 'end' | '!',
  options: { readonly signal?: AbortSignal } = {},
): Promise<ClipTokenizer> {
  const file = path.join(__dirname, '..', '..', 'models', 'clip-tokenizer', 'merges.txt')
  return makeClipTokenizer(await vocabularyOfMerges(file, pad, options.signal), options.signal)
}

async function makeClipTokenizer(vocabulary: ClipVocabulary, signal: AbortSignal | undefined): Promise<ClipTokenizer> {
  const { file, ids, merges, bos, eos, pad, added } = vocabulary
  const find = (token: string, role: string): number => {
    const id = ids[token] ?? added.find(({ content }) => content === token)?.id
    if (isId(id)) return id
    throw invalidTokenizer(file, `an id for the ${role} token ${token}`, `${id ?? 'none'}`)
  }
  const [bosId, eosId, padId] = [find(bos, 'start'), find(eos, 'end'), find(pad, 'padding')]
  const special = [...new Map([bos, eos, pad].map((content) => [content, find(content, 'special')]))].map(
    ([content, id]) => ({ id, content }),
  )
  const others = added.filter(({ content }) => special.every((token) => token.content !== content))
  let model: TokenizerModel
  try {
    model = await tokenizerModel(
      {
        added_tokens: [...special, ...others].map((token) => ({ ...token, special: true, normalized: false })),
        normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] },
        pre_tokenizer: CLIP_PRE_TOKENIZER,
        post_processor: null,
        decoder: { type: 'ByteLevel' },
        model: {
          type: 'BPE',
          unk_token: eos,
          continuing_subword_prefix: '',
          end_of_word_suffix: '</w>',
          vocab: ids,
          merges,
        },
      },
      {},
    )
  } catch (cause) {
    throw invalidTokenizer(file, 'a tokenizer', cause)
  }
  throwIfAborted(signal)
  const comma = ids[',</w>']
  return {
    vocabulary: [...Object.values(ids), ...added.map(({ id }) => id)].reduce((most, id) => Math.max(most, id), 0) + 1,
    bos: bosId,
    eos: eosId,
    pad: padId,
    comma: isId(comma) ? comma : undefined,
    async encode(text) {
      checkPrompt(text)
      // Rust lowers one character at a time, JavaScript looks at a whole word: a sigma at its end would become ς.
      const pieces = piecesOf(text.replaceAll('Σ', 'σ'), isSpace)
      try {
        return await encodeInTurns(model, pieces)
      } catch (cause) {
        throw invalidTokenizer(file, 'ids', cause)
      }
    },
  }
}

/** Whitespace as the tokenizer sees it: no token reaches across, and Unicode composes nothing with it. */
function isSpace(character: string): boolean {
  return /[^\S\ufeff]/.test(character)
}
