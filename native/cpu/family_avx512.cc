// The `avx512` kernel family: AVX-512 F, BW, VL and DQ, vectors of sixteen floats. Emulated, it is
// that of a processor without VNNI, and `avx512_bf16` that of one with it, so that both are proven.
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
#ifdef IRODORI_EMULATED_UNITS
    const bool vnni = false;
#else
    const bool vnni = DetectCpu().avx512_vnni;
#endif
    if (!vnni) kernels.int8 = &avx512::kInt8WideTable;
    return kernels;
  }();
  return table;
}

}  // namespace irodori::cpu
