// The `avx512_bf16` kernel family: products and attention in bf16 through tiles of vectors,
// everything else, int8 too, as `avx512`.
#define IRODORI_FAMILY avx512_bf16
#include "native/cpu/tile_family.h"

namespace irodori::cpu {

const KernelTable& Avx512Bf16Kernels() {
  static const KernelTable table = avx512_bf16::WithTiles("avx512_bf16");
  return table;
}

}  // namespace irodori::cpu
