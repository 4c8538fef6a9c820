// Matmuls over float32, over int8 and over int8 weights alone, in turns: milliseconds of the
// process's own time at the shapes of SD1.5's UNet, DiT-XL/2 and a small DiT.
//
// Usage: irodori_int8_bench [family] [threads] [rounds]. Prints the medians, GFLOP/s or GOP/s, and
// how much quicker than float32.
#include <cstdio>

#include "tests/native/contender.h"

namespace irodori::test {
namespace {

struct Shape2 {
  int64_t m, n, k;
};

Program MatmulOf(const Shape2& shape, DType weights, double sums) {
  ProgramWriter w;
  const auto x = static_cast<int32_t>(w.Input("x", DType::kF32, {shape.m, shape.k}));
  const auto weight = static_cast<int32_t>(w.Param(Packing::kGemm, weights, {shape.n, shape.k}));
  w.AddStep(Kernel::kMatmul, {x, weight}, w.Output("y", DType::kF32, {shape.m, shape.n}),
            {1, static_cast<double>(shape.k), 0, sums});
  return w.program;
}

void RunShape(Device& device, const Shape2& shape, int rounds) {
  std::vector<Contender> contenders;
  contenders.emplace_back(device, MatmulOf(shape, DType::kF32, 0));
  contenders.emplace_back(device, MatmulOf(shape, DType::kI8, 32));
  contenders.emplace_back(device, MatmulOf(shape, DType::kI8Sums16, 16));
  contenders.emplace_back(device, MatmulOf(shape, DType::kI8, 0));
  const std::vector<double> times = InTurns(contenders, rounds);
  const double work = 2e-6 * static_cast<double>(shape.m * shape.n * shape.k);
  std::printf("%5ld x %5ld x %5ld ", shape.m, shape.n, shape.k);
  constexpr const char* kNames[] = {"f32", "int8", "16 bits", "weights"};
  for (size_t i = 0; i < times.size(); ++i) {
    std::printf(" | %s %8.3f ms %6.1f G/s %5.2fx", kNames[i], times[i], work / times[i],
                times[0] / times[i]);
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace
}  // namespace irodori::test

int main(int count, char** arguments) {
  using namespace irodori;
  const std::unique_ptr<Device> device = test::OpenBenchDevice(count, arguments);
  const DeviceInfo& info = device->info();
  std::printf("%s, %s, %d threads\n", info.name.c_str(), info.arithmetic.c_str(), info.threads);
  for (const test::Shape2& shape : std::initializer_list<test::Shape2>{{4096, 320, 320},
                                                                       {4096, 2560, 320},
                                                                       {4096, 320, 1280},
                                                                       {1024, 5120, 640},
                                                                       {256, 1280, 1280},
                                                                       {256, 10240, 1280},
                                                                       {256, 1280, 5120},
                                                                       {256, 3456, 1152},
                                                                       {256, 4608, 1152},
                                                                       {256, 1152, 4608},
                                                                       {64, 1152, 384},
                                                                       {64, 1536, 384},
                                                                       {64, 384, 1536},
                                                                       {16, 1280, 1280}}) {
    test::RunShape(*device, shape, count > 3 ? std::atoi(arguments[3]) : 9);
  }
  return 0;
}
