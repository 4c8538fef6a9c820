// CPUID, XGETBV, and Linux's permission for AMX tiles.
#include "native/cpu/cpu_features.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "native/core/message.h"

namespace irodori::cpu {
namespace {

// Register state the operating system saves (XCR0).
constexpr uint64_t kStateAvx = 0x6;
constexpr uint64_t kStateAvx512 = 0xe6;
constexpr uint64_t kStateTiles = 0x60000;
constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
constexpr int kTileData = 18;               // XFEATURE_XTILEDATA

struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf Cpuid(uint32_t leaf, uint32_t subleaf) {
  Leaf out;
  __get_cpuid_count(leaf, subleaf, &out.eax, &out.ebx, &out.ecx, &out.edx);
  return out;
}

bool Bit(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

uint64_t SavedState() {
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

std::string BrandString() {
  char text[49] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    const Leaf leaf = Cpuid(0x80000002u + i, 0);
    std::memcpy(text + i * 16, &leaf, 16);
  }
  std::string name = text;
  while (!name.empty() && name.back() == ' ') name.pop_back();
  name.erase(0, name.find_first_not_of(' '));
  return name.empty() ? "x86-64" : name;
}

CpuFeatures Detect() {
  CpuFeatures features;
  features.name = BrandString();
  const Leaf basic = Cpuid(1, 0);
  const Leaf extended = Cpuid(7, 0);
  const Leaf extended1 = Cpuid(7, 1);
  const bool saves = Bit(basic.ecx, 27);  // OSXSAVE
  const uint64_t state = saves ? SavedState() : 0;

  if (!(Bit(basic.ecx, 12) && Bit(basic.ecx, 28) && Bit(basic.ecx, 29) && Bit(extended.ebx, 5))) {
    features.avx2_reason = "the processor has no AVX2, FMA and F16C";
  } else if ((state & kStateAvx) != kStateAvx) {
    features.avx2_reason = "the operating system does not save AVX state";
  } else {
    features.avx2 = true;
  }

  const bool has_avx512 = Bit(extended.ebx, 16) && Bit(extended.ebx, 17) && Bit(extended.ebx, 30) &&
                          Bit(extended.ebx, 31);
  if (!features.avx2) {
    features.avx512_reason = features.avx2_reason;
  } else if (!has_avx512) {
    features.avx512_reason = "the processor has no AVX-512 F, BW, VL and DQ";
  } else if ((state & kStateAvx512) != kStateAvx512) {
    features.avx512_reason = "the operating system does not save AVX-512 state";
  } else {
    features.avx512 = true;
  }

  const bool has_tiles = Bit(extended.edx, 22) && Bit(extended.edx, 24) && Bit(extended1.eax, 5);
  if (!features.avx512) {
    features.amx_reason = features.avx512_reason;
  } else if (!has_tiles) {
    features.amx_reason = "the processor has no AMX bf16 tiles";
  } else if ((state & kStateTiles) != kStateTiles) {
    features.amx_reason = "the operating system does not save AMX state";
  } else if (syscall(SYS_arch_prctl, kRequestPermission, kTileData) != 0) {
    features.amx_reason =
        Message("the kernel refused permission for AMX tiles: ", std::strerror(errno));
  } else {
    features.amx = true;
  }
  return features;
}

}  // namespace

const CpuFeatures& DetectCpu() {
  static const CpuFeatures features = Detect();
  return features;
}

}  // namespace irodori::cpu
