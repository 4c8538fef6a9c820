// What the processor and the operating system let this process execute.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace irodori::cpu {

struct CpuFeatures {
  std::string name;             // of the processor
  bool avx2 = false;            // AVX2, FMA, F16C, and the state is saved
  bool avx512 = false;          // F, BW, VL, DQ likewise
  bool avx512_bf16 = false;     // VDPBF16PS besides
  bool full_rate_bf16 = false;  // which starts as often as a float32 FMA (AMD from Zen 4 on;
                                // Intel's every other time)
  bool amx = false;             // tiles and bf16, avx512_bf16, and the kernel gave permission
  bool avx512_vnni = false, amx_int8 = false;  // products of bytes, beside avx512 and amx
  std::string amx_reason, avx512_bf16_reason, avx512_reason, avx2_reason;  // why not
};

// What CPUID and XGETBV say of an x86-64 processor.
struct CpuWords {
  uint32_t leaf1_ecx = 0;
  uint32_t leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0;
  uint32_t leaf7_1_eax = 0;
  bool amd = false;          // vendor
  uint64_t saved_state = 0;  // XCR0: registers that the operating system saves
};

// What those words permit. `request_permission` asks the kernel for AMX tiles, only where the
// processor has them, and returns 0 or its errno.
CpuFeatures FeaturesOf(const CpuWords& words, const std::function<int()>& request_permission);

// Asks once per process; for AMX this includes asking the kernel for permission.
const CpuFeatures& DetectCpu();

// Bytes of the second cache that a core has, as the system says; 1 MiB where it does not.
int64_t SecondCacheBytes();

}  // namespace irodori::cpu
