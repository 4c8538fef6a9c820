// The `avx2` kernel family: AVX2, FMA and F16C, vectors of eight floats.
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#include "native/cpu/family_table.h"

namespace irodori::cpu {

const KernelTable& Avx2Kernels() {
  static const KernelTable table = avx2::MakeTable("avx2");
  return table;
}

}  // namespace irodori::cpu
