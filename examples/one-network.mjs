/** One network with typed arrays in and out: the bundled model's text encoder. Run: node examples/one-network.mjs */
import { createRequire } from 'node:module'
import path from 'node:path'
import { loadComponent } from 'irodori'

const folder = path.join(
  path.dirname(createRequire(import.meta.url).resolve('irodori/package.json')),
  'models',
  'emoji',
)
const encoder = await loadComponent(folder, 'text_encoder', { dtype: 'f32' })
const ids = Int32Array.from([1, 1317, 8153, 2, ...new Array(12).fill(0)]) // 赤いりんご, padded
const { last_hidden_state: states } = await encoder.run({ input_ids: { dtype: 'i32', shape: [1, 16], data: ids } })
console.log(states.shape, states.data.slice(0, 4))
encoder.dispose()
