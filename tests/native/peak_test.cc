// Peaks: every one measures a rate of its own, on as many threads as asked for, and stops when told
// to.
#include "native/cpu/peak.h"

#include <set>

#include "native/cpu/cpu_features.h"
#include "tests/native/check.h"

namespace irodori::test {
namespace {

using std::chrono::milliseconds;

// Families whose kernels this build can run here.
std::vector<std::string> Families() {
  std::vector<std::string> families{"portable"};
#if IRODORI_X86
  const cpu::CpuFeatures& cpu = cpu::DetectCpu();
#ifdef IRODORI_EMULATED_UNITS
  if (cpu.avx2) families.insert(families.end(), {"avx2", "avx512", "avx512_bf16", "amx"});
#else
  if (cpu.avx2) families.push_back("avx2");
  if (cpu.avx512) families.push_back("avx512");
  if (cpu.avx512_bf16) families.push_back("avx512_bf16");
  if (cpu.amx) families.push_back("amx");
#endif
#endif
  return families;
}

TEST(PeaksOfEveryFamilyAreMeasured) {
  const std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(2);
  for (const std::string& family : Families()) {
    const std::vector<std::string> names = cpu::PeakNames(family);
    CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
    for (const std::string& name : names) {
      for (const int threads : {0, 1, 2}) {
        const Result<double> rate =
            cpu::MeasurePeak(family, name, *team, threads, milliseconds(2), nullptr);
        CHECK(rate.ok() && rate.value() > 0 && rate.value() < 1e15);
      }
    }
  }
}

TEST(PeaksRefuse) {
  const std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(2);
  const auto measure = [&](std::string_view name, int threads, AbortFlag abort) {
    return cpu::MeasurePeak("portable", name, *team, threads, milliseconds(2), abort).status();
  };
  CheckStatus(__FILE__, __LINE__, measure("fma_avx512", 1, nullptr), Code::kInvalidOption,
              "expected one of fma_portable, memory_read, memory_copy, got \"fma_avx512\"");
  CheckStatus(__FILE__, __LINE__, measure("fma_portable", 3, nullptr), Code::kInvalidOption,
              "expected at most 2 threads, got 3");
  const std::atomic<bool> abort = true;
  CheckStatus(__FILE__, __LINE__, measure("memory_read", 2, &abort), Code::kAborted, "aborted");
}

}  // namespace
}  // namespace irodori::test
