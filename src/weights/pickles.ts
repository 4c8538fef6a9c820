/** Weights in Python's pickle format: known by their first bytes and their names, and refused. */

import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { EngineError } from '../errors'

const NAMES = /\.(ckpt|bin|pt|pth|pkl)$/

/** Whether a file of that name holds pickled weights, as PyTorch saves them. */
export function isPickleName(name: string): boolean {
  return NAMES.test(name)
}

/** Whether a file is one, by what it begins with: a zip archive (PyTorch 1.6 and later) or a pickle's protocol mark. */
export async function isPickle(file: string): Promise<boolean> {
  const opened = await open(file).catch(() => undefined) // whoever reads it says what is wrong
  if (!opened) return false
  await using handle = opened
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
  if (bytesRead < 4) return false
  return buffer.readUInt32LE(0) === 0x04034b50 || (buffer[0] === 0x80 && (buffer[1] ?? 0) >= 2 && (buffer[1] ?? 0) <= 5)
}

/**
 * The error for pickled weights.
 *
 * @param where - file or folder.
 * @param names - of the pickled files, when it is a folder.
 */
export function pickleError(where: string, names: readonly string[] = []): EngineError {
  const what = names.length > 0 ? names.join(', ') : 'a pickled file'
  const source = names[0] ?? basename(where)
  const target = `${source.replace(NAMES, '')}.safetensors`
  const convert =
    `python -c "import torch; from safetensors.torch import save_file; ` +
    `w = torch.load('${source}', map_location='cpu', weights_only=True); w = w.get('state_dict', w.get('string_to_param', w)); ` +
    `save_file({k: v.clone().contiguous() for k, v in w.items() if torch.is_tensor(v)}, '${target}')"`
  return new EngineError(
    'unsupported-format',
    `${where}: expected safetensors, got ${what}: reading a pickle runs whatever code its author put into it. Convert it once: ${convert}`,
    { file: where, got: names.length > 0 ? names : [basename(where)], convert },
  )
}
