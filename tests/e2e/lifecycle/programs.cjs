/** Programs made by hand, small enough to read: what the tests of the bindings run. */

/** Repeatable values in [-1, 1). */
function noise(length, seed) {
  const values = new Float32Array(length)
  let state = seed >>> 0
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    values[i] = state / 2 ** 31 - 1
  }
  return values
}

function buffer(name, shape, storage, dtype = 'f32') {
  return { name, dtype, shape, pitch: shape.at(-1) ?? 1, storage }
}

/** y = 2 x + 1 over n values, in one step without parameters. */
function affine(n) {
  return {
    name: 'affine',
    buffers: [buffer('x', [n], { kind: 'input', index: 0 }), buffer('y', [n], { kind: 'output', index: 0 })],
    params: [],
    inputs: [{ name: 'x', buffer: 0 }],
    outputs: [{ name: 'y', buffer: 1 }],
    steps: [
      {
        kernel: 'elementwise',
        operands: [0],
        output: 1,
        attrs: [],
        epilogue: [
          { op: 'scale', value: 2 },
          { op: 'offset', value: 1 },
        ],
        at: 'affine',
      },
    ],
    arenaBytes: 0,
  }
}

/** y = row `id` of a table, for n ids. */
function lookup(n, rows, width) {
  return {
    name: 'lookup',
    buffers: [
      buffer('ids', [n], { kind: 'input', index: 0 }, 'i32'),
      buffer('table', [rows, width], { kind: 'param', index: 0 }),
      buffer('y', [n, width], { kind: 'output', index: 0 }),
    ],
    params: [
      {
        recipe: { kind: 'literal', data: noise(rows * width, 3), shape: [rows, width] },
        packing: 'plain',
        dtype: 'f32',
        shape: [rows, width],
      },
    ],
    inputs: [{ name: 'ids', buffer: 0 }],
    outputs: [{ name: 'y', buffer: 2 }],
    steps: [{ kernel: 'embedding', operands: [0, 1], output: 2, attrs: [], epilogue: [], at: 'lookup' }],
    arenaBytes: 0,
  }
}

/**
 * x [tokens, width] through `steps` matmuls with tanh behind each: about 2 · tokens · width² · steps operations.
 * `weight(i)` gives the recipe of step i; all steps share one literal unless it is given.
 */
function chain({ tokens, width, steps, weight }) {
  const literal = {
    kind: 'literal',
    data: noise(width * width, 7).map((v) => v / Math.sqrt(width)),
    shape: [width, width],
  }
  const recipes = Array.from({ length: steps }, (_, i) => weight?.(i) ?? literal)
  const distinct = [...new Set(recipes)]
  const rowBytes = tokens * width * 4
  const stride = Math.ceil(rowBytes / 64) * 64
  const buffers = [
    buffer('x', [tokens, width], { kind: 'input', index: 0 }),
    buffer('y', [tokens, width], { kind: 'output', index: 0 }),
    ...distinct.map((_, i) => buffer(`w${i}`, [width, width], { kind: 'param', index: i })),
  ]
  const firstWeight = 2
  let from = 0
  const chained = recipes.map((recipe, i) => {
    let to = 1
    if (i < steps - 1) {
      to = buffers.length
      buffers.push(buffer(`h${i}`, [tokens, width], { kind: 'arena', offset: (i % 2) * stride }))
    }
    const step = {
      kernel: 'matmul',
      operands: [from, firstWeight + distinct.indexOf(recipe), null],
      output: to,
      attrs: [1, width, 0, 0],
      epilogue: [{ op: 'tanh' }],
      at: `layers.${i}`,
    }
    from = to
    return step
  })
  return {
    name: 'chain',
    buffers,
    params: distinct.map((recipe) => ({ recipe, packing: 'gemm', dtype: 'f32', shape: [width, width] })),
    inputs: [{ name: 'x', buffer: 0 }],
    outputs: [{ name: 'y', buffer: 1 }],
    steps: chained,
    arenaBytes: steps > 1 ? 2 * stride : 0,
  }
}

/** A checkpoint without tensors, for programs whose parameters are literals. */
const emptyCheckpoint = { tensors: new Map(), identity: 'empty' }

module.exports = { affine, chain, emptyCheckpoint, lookup, noise }
