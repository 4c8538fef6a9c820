// The `amx` kernel family: products of bf16 and int8 and attention through matrix tiles, everything
// else as `avx512`.
#define IRODORI_FAMILY amx
#include "native/cpu/cpu_features.h"
#include "native/cpu/tile_family.h"

namespace irodori::cpu {

namespace amx {
extern const Int8Table kInt8Table;
}  // namespace amx

const KernelTable& AmxKernels() {
  static const KernelTable table = [] {
    KernelTable kernels = amx::WithTiles("amx");
#ifdef IRODORI_EMULATED_UNITS
    const bool int8 = true;
#else
    const bool int8 = DetectCpu().amx_int8;
#endif
    if (int8) kernels.int8 = &amx::kInt8Table;
    return kernels;
  }();
  return table;
}

}  // namespace irodori::cpu
