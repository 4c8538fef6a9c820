// The `avx512` kernel family: AVX-512 F, BW, VL and DQ, vectors of sixteen floats.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#include "native/cpu/family_table.h"

namespace irodori::cpu {

const KernelTable& Avx512Kernels() {
  static const KernelTable table = avx512::MakeTable("avx512");
  return table;
}

}  // namespace irodori::cpu
