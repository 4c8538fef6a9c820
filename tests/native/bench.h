// What micro-benchmarks share: their first arguments, and medians.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "native/core/backend.h"

namespace irodori::test {

inline double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The device of the arguments `[family] [threads]`; ends the program where there is none.
inline std::unique_ptr<Device> OpenBenchDevice(int count, char** arguments) {
  Result<std::unique_ptr<Device>> device =
      OpenCpuDevice({count > 1 ? arguments[1] : "auto", count > 2 ? std::atoi(arguments[2]) : 0});
  if (device.ok()) return std::move(device).value();
  std::printf("%s\n", device.status().message().c_str());
  std::exit(1);
}

// The peak of float32 products of a family: those with an arithmetic of bf16 are avx512 besides.
inline std::string FmaPeakOf(const std::string& arithmetic) {
  const bool wider = arithmetic == "amx" || arithmetic == "avx512_bf16";
  return "fma_" + (wider ? "avx512" : arithmetic);
}

}  // namespace irodori::test
