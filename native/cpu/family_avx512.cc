// The `avx512` kernel family: AVX-512 F, BW, VL and DQ, vectors of sixteen floats.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#include "native/cpu/cpu_features.h"
#include "native/cpu/family_table.h"

namespace irodori::cpu {

namespace avx512 {
extern const Int8Table kInt8WideTable;
}

const KernelTable& Avx512Kernels() {
  static const KernelTable table = [] {
    KernelTable kernels = avx512::MakeTable("avx512");
#ifndef IRODORI_EMULATED_UNITS
    if (!DetectCpu().avx512_vnni) kernels.int8 = &avx512::kInt8WideTable;
#endif
    return kernels;
  }();
  return table;
}

}  // namespace irodori::cpu
