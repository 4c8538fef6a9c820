/** Every op on the devices of the addon that was built for this machine. */

import * as bindings from '../../src/bindings'
import { describeOps } from './suite'

describeOps('reference', bindings, { device: 'reference' })
for (const instructions of ['portable', 'avx2', 'avx512', 'avx512_bf16', 'amx'] as const) {
  describeOps(`cpu ${instructions}`, bindings, { device: 'cpu', instructions, threads: 2 })
}
