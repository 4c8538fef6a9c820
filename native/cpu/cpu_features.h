// What the processor and the operating system let this process execute.
#pragma once

#include <string>

namespace irodori::cpu {

struct CpuFeatures {
  std::string name;     // of the processor
  bool avx2 = false;    // AVX2, FMA, F16C, and the state is saved
  bool avx512 = false;  // F, BW, VL, DQ likewise
  bool amx = false;     // tiles and bf16, avx512_bf16, and the kernel gave permission
  std::string amx_reason, avx512_reason, avx2_reason;  // why not
};

// Asks once per process; for AMX this includes asking the kernel for permission.
const CpuFeatures& DetectCpu();

}  // namespace irodori::cpu
