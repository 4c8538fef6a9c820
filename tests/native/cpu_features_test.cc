// Which instruction sets the words of a processor permit, and why not.
#include "native/cpu/cpu_features.h"

#include <cerrno>

#include "tests/native/check.h"

namespace irodori::test {
namespace {

using cpu::CpuFeatures;
using cpu::CpuWords;

// Everything there is, and saved.
CpuWords Sapphire() {
  CpuWords words;
  words.leaf1_ecx = 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29;
  words.leaf7_ebx = 1u << 5 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  words.leaf7_edx = 1u << 22 | 1u << 24;
  words.leaf7_1_eax = 1u << 5;
  words.saved_state = 0x600e7;
  return words;
}

int Granted() { return 0; }

CpuFeatures Without(void (*change)(CpuWords&)) {
  CpuWords words = Sapphire();
  change(words);
  return cpu::FeaturesOf(words, [] {
    Fail(__FILE__, __LINE__, "asks for tiles that are not there");
    return 0;
  });
}

bool Has(const std::string& reason, std::string_view part) {
  return reason.find(part) != std::string::npos;
}

TEST(CpuFeaturesAll) {
  const CpuFeatures features = cpu::FeaturesOf(Sapphire(), Granted);
  CHECK(features.avx2 && features.avx512 && features.amx);
  CHECK(features.amx_reason.empty() && features.avx512_reason.empty());
}

TEST(CpuFeaturesWithoutPermission) {
  int asked = 0;
  const CpuFeatures features = cpu::FeaturesOf(Sapphire(), [&] {
    ++asked;
    return EPERM;
  });
  CHECK(asked == 1);
  CHECK(features.avx2 && features.avx512 && !features.amx);
  CHECK(Has(features.amx_reason, "refused permission for AMX tiles: Operation not permitted"));
  CHECK(features.avx512_reason.empty());
}

TEST(CpuFeaturesWithoutTiles) {
  for (const auto change : {+[](CpuWords& w) { w.leaf7_edx &= ~(1u << 22); },
                            +[](CpuWords& w) { w.leaf7_edx &= ~(1u << 24); },
                            +[](CpuWords& w) { w.leaf7_1_eax = 0; }}) {
    const CpuFeatures features = Without(change);
    CHECK(features.avx512 && !features.amx);
    CHECK(Has(features.amx_reason, "no AMX bf16 tiles"));
  }
  const CpuFeatures unsaved = Without([](CpuWords& w) { w.saved_state = 0xe7; });
  CHECK(unsaved.avx512 && !unsaved.amx && Has(unsaved.amx_reason, "does not save AMX state"));
}

TEST(CpuFeaturesWithoutAvx512) {
  for (const auto change : {+[](CpuWords& w) { w.leaf7_ebx &= ~(1u << 16); },
                            +[](CpuWords& w) { w.leaf7_ebx &= ~(1u << 31); }}) {
    const CpuFeatures features = Without(change);
    CHECK(features.avx2 && !features.avx512 && !features.amx);
    CHECK(Has(features.avx512_reason, "no AVX-512") && Has(features.amx_reason, "no AVX-512"));
  }
  const CpuFeatures unsaved = Without([](CpuWords& w) { w.saved_state = 0x7; });
  CHECK(unsaved.avx2 && !unsaved.avx512 && Has(unsaved.avx512_reason, "does not save AVX-512"));
}

TEST(CpuFeaturesProductsOfBytes) {
  CpuWords words = Sapphire();
  CpuFeatures features = cpu::FeaturesOf(words, Granted);
  CHECK(!features.avx512_vnni && !features.amx_int8);
  words.leaf7_ecx = 1u << 11;
  words.leaf7_edx |= 1u << 25;
  features = cpu::FeaturesOf(words, Granted);
  CHECK(features.avx512_vnni && features.amx_int8);
  features = cpu::FeaturesOf(words, [] { return EPERM; });
  CHECK(features.avx512_vnni && !features.amx_int8);
}

TEST(CpuFeaturesProductsOfBf16) {
  CpuWords words = Sapphire();
  CpuFeatures features = cpu::FeaturesOf(words, Granted);
  CHECK(features.avx512_bf16 && !features.full_rate_bf16);
  CHECK(Has(features.avx512_bf16_reason, "no faster than f32"));
  words.amd = true;
  features = cpu::FeaturesOf(words, Granted);
  CHECK(features.full_rate_bf16 && features.avx512_bf16_reason.empty());
  words.leaf7_1_eax = 0;
  features = cpu::FeaturesOf(words, Granted);
  CHECK(features.avx512 && !features.avx512_bf16 && !features.full_rate_bf16);
  CHECK(Has(features.avx512_bf16_reason, "no AVX-512 BF16"));
  words.saved_state = 0x7;
  features = cpu::FeaturesOf(words, Granted);
  CHECK(!features.avx512_bf16 && Has(features.avx512_bf16_reason, "does not save AVX-512"));
}

TEST(CpuFeaturesWithoutAvx2) {
  const CpuFeatures old = Without([](CpuWords& w) { w.leaf7_ebx &= ~(1u << 5); });
  CHECK(!old.avx2 && !old.avx512 && !old.amx && Has(old.avx2_reason, "no AVX2"));
  const CpuFeatures unsaved = Without([](CpuWords& w) { w.saved_state = 0; });
  CHECK(!unsaved.avx2 && Has(unsaved.amx_reason, "does not save AVX state"));
}

}  // namespace
}  // namespace irodori::test
