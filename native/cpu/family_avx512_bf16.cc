// The `avx512_bf16` kernel family: products and attention in bf16 through tiles of vectors,
// everything else, int8 too, as `avx512`.
#define IRODORI_FAMILY avx512_bf16
#include "native/cpu/tile_family.h"

namespace irodori::cpu {

#ifdef IRODORI_EMULATED_UNITS
namespace avx512 {
extern const Int8Table kInt8Table;
}  // namespace avx512
#endif

const KernelTable& Avx512Bf16Kernels() {
  static const KernelTable table = [] {
    KernelTable kernels = avx512_bf16::WithTiles("avx512_bf16");
#ifdef IRODORI_EMULATED_UNITS
    kernels.int8 = &avx512::kInt8Table;
#endif
    return kernels;
  }();
  return table;
}

}  // namespace irodori::cpu
