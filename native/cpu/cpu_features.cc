// CPUID, XGETBV, and Linux's permission for AMX tiles.
#include "native/cpu/cpu_features.h"

#if IRODORI_X86
#include <cpuid.h>
#endif
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "native/core/message.h"

namespace irodori::cpu {
namespace {

// Register state the operating system saves (XCR0).
constexpr uint64_t kStateAvx = 0x6;
constexpr uint64_t kStateAvx512 = 0xe6;
constexpr uint64_t kStateTiles = 0x60000;

bool Bit(uint32_t word, int bit) { return (word >> bit & 1) != 0; }

#if IRODORI_X86

struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf Cpuid(uint32_t leaf, uint32_t subleaf) {
  Leaf out;
  __get_cpuid_count(leaf, subleaf, &out.eax, &out.ebx, &out.ecx, &out.edx);
  return out;
}

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

int RequestTiles() {
#ifdef __linux__
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0 ? 0 : errno;
#else
  return ENOSYS;
#endif
}

CpuFeatures Detect() {
  const Leaf vendor = Cpuid(0, 0);
  const Leaf basic = Cpuid(1, 0);
  const Leaf extended = Cpuid(7, 0);
  CpuWords words;
  words.amd = vendor.ebx == 0x68747541 && vendor.edx == 0x69746e65;  // "Auth" "enti" "cAMD"
  words.leaf1_ecx = basic.ecx;
  words.leaf7_ebx = extended.ebx;
  words.leaf7_ecx = extended.ecx;
  words.leaf7_edx = extended.edx;
  words.leaf7_1_eax = Cpuid(7, 1).eax;
  if (Bit(basic.ecx, 27)) words.saved_state = SavedState();  // OSXSAVE
  CpuFeatures features = FeaturesOf(words, RequestTiles);
  features.name = BrandString();
  return features;
}

#else

CpuFeatures Detect() {
  CpuFeatures features;
  features.name = "portable";
  features.avx2_reason = "irodori was built for a processor other than x86-64";
  features.avx512_reason = features.avx512_bf16_reason = features.amx_reason = features.avx2_reason;
  return features;
}

#endif

}  // namespace

CpuFeatures FeaturesOf(const CpuWords& words, const std::function<int()>& request_permission) {
  CpuFeatures features;
  const uint32_t ecx = words.leaf1_ecx;
  const uint32_t ebx = words.leaf7_ebx;
  const uint32_t edx = words.leaf7_edx;
  const auto saves = [&](uint64_t state) { return (words.saved_state & state) == state; };

  if (!(Bit(ecx, 12) && Bit(ecx, 28) && Bit(ecx, 29) && Bit(ebx, 5))) {
    features.avx2_reason = "the processor has no AVX2, FMA and F16C";
  } else if (!saves(kStateAvx)) {
    features.avx2_reason = "the operating system does not save AVX state";
  } else {
    features.avx2 = true;
  }

  if (!features.avx2) {
    features.avx512_reason = features.avx2_reason;
  } else if (!(Bit(ebx, 16) && Bit(ebx, 17) && Bit(ebx, 30) && Bit(ebx, 31))) {
    features.avx512_reason = "the processor has no AVX-512 F, BW, VL and DQ";
  } else if (!saves(kStateAvx512)) {
    features.avx512_reason = "the operating system does not save AVX-512 state";
  } else {
    features.avx512 = true;
  }

  if (!features.avx512) {
    features.avx512_bf16_reason = features.avx512_reason;
  } else if (!Bit(words.leaf7_1_eax, 5)) {
    features.avx512_bf16_reason = "the processor has no AVX-512 BF16";
  } else {
    features.avx512_bf16 = true;
    features.full_rate_bf16 = words.amd;
    if (!words.amd)
      features.avx512_bf16_reason = "this processor's AVX-512 BF16 is no faster than f32";
  }

  if (!features.avx512) {
    features.amx_reason = features.avx512_reason;
  } else if (!(Bit(edx, 22) && Bit(edx, 24) && Bit(words.leaf7_1_eax, 5))) {
    features.amx_reason = "the processor has no AMX bf16 tiles";
  } else if (!saves(kStateTiles)) {
    features.amx_reason = "the operating system does not save AMX state";
  } else if (const int error = request_permission(); error != 0) {
    features.amx_reason =
        Message("the kernel refused permission for AMX tiles: ", std::strerror(error));
  } else {
    features.amx = true;
  }
  features.avx512_vnni = features.avx512 && Bit(words.leaf7_ecx, 11);
  features.amx_int8 = features.amx && Bit(edx, 25);
  return features;
}

const CpuFeatures& DetectCpu() {
  // Never destroyed: process.exit() runs static destructors while other threads open devices.
  static const CpuFeatures& features = *new CpuFeatures(Detect());
  return features;
}

int64_t SecondCacheBytes() {
  static const int64_t bytes = [] {
#ifdef _SC_LEVEL2_CACHE_SIZE
    const auto said = static_cast<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE));
    if (said > 0) return said;
#endif
    return int64_t{1} << 20;
  }();
  return bytes;
}

}  // namespace irodori::cpu
