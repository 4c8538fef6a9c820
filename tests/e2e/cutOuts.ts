/** A bundled model with a small upscaler of random weights that gives opacity, in a folder of its own. */

import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type Tensor, writeSafetensors } from '../../src/weights'

const emoji = path.resolve(__dirname, '..', '..', 'models', 'emoji')

/** Writes the folder; all but the upscaler are links. */
export async function cuttingModel(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'upscaler'), { recursive: true })
  for (const name of await readdir(emoji)) {
    if (name !== 'upscaler') await symlink(path.join(emoji, name), path.join(folder, name))
  }
  const config = { _class_name: 'SRVGGNetCompact', num_out_ch: 4, num_feat: 8, num_conv: 1, upscale: 4 }
  await writeFile(path.join(folder, 'upscaler', 'config.json'), JSON.stringify(config))
  const tensors: Record<string, Tensor> = {
    'body.0.weight': random([8, 3, 3, 3], 0.3),
    'body.0.bias': random([8], 0.1),
    'body.1.weight': random([8], 0.3),
    'body.2.weight': random([8, 8, 3, 3], 0.2),
    'body.2.bias': random([8], 0.1),
    'body.3.weight': random([8], 0.3),
    'body.4.weight': random([64, 8, 3, 3], 0.2),
    'body.4.bias': random([64], 0.5),
  }
  await writeSafetensors(path.join(folder, 'upscaler', 'model.safetensors'), tensors)
}

let state = 1

/** Even numbers around zero; the same in every run. */
function random(shape: readonly number[], scale: number): Tensor {
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0 // Numerical Recipes' generator
    return (state / 2 ** 31 - 1) * scale
  }
  return { dtype: 'f32', shape, data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next) }
}
