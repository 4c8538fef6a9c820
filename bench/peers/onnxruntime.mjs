/** onnxruntime-node on the CPU: loads the ONNX file it is told, and runs it in turns (see turns.mjs). */

import { createRequire } from 'node:module'
import ort from 'onnxruntime-node'
import { takeTurns } from './turns.mjs'

const TYPES = {
  f32: (data, shape) => new ort.Tensor('float32', new Float32Array(data), shape),
  i64: (data, shape) => new ort.Tensor('int64', new BigInt64Array(data), shape),
}

let session

await takeTurns({
  async load({ model, threads }) {
    session = await ort.InferenceSession.create(model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      graphOptimizationLevel: 'all',
    })
    const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json')
    return { 'onnxruntime-node': version, node: process.versions.node, threads }
  },
  async run(call) {
    const feeds = Object.entries(call).map(([name, { dtype, shape, data }]) => [name, TYPES[dtype](data, shape)])
    const results = await session.run(Object.fromEntries(feeds))
    return results[session.outputNames[0]].data
  },
})
