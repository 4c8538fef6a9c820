// Matrix products at the shapes of the networks: time of one, and its share of what the processor
// gives in the same moment.
//
// Weights are cold, as in life: a program multiplies by as many matrices as the third cache cannot
// hold, one after another; factors and results lie where they lay before. Every round measures the
// peaks of multiply-adds and of reading memory, then runs the program. Printed are the median time
// of the rounds and its share of the best peaks: `fma` of multiply-adds, `roof` of the roofline,
// multiply-adds or the bytes of the weights, whichever takes longer. One thread is timed by its own
// clock, so that other processes do not decide.
//
// Usage: irodori_gemm_bench [family] [threads] [rounds] [words of names to run...]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "native/core/backend.h"
#include "native/core/message.h"
#include "tests/native/bench.h"
#include "tests/native/program_writer.h"

namespace irodori::test {
namespace {

// Seconds; of one thread those of the process's own work.
double Now(int threads) {
  if (threads == 1) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr double kColdBytes = 96e6;  // of weights, more than the third cache holds
constexpr int kMostMatrices = 48;
constexpr double kMostFlops = 16e9;  // of a round
constexpr std::chrono::milliseconds kPeakTime{2};

struct Product {
  const char* where;
  int64_t m, k, n;
  DType weights = DType::kF32;
  bool strassen = false;
};

double WeightBytes(const Product& product) {
  return static_cast<double>(product.k * product.n * DTypeBytes(product.weights));
}

double Flops(const Product& product) {
  return 2.0 * static_cast<double>(product.m * product.k * product.n);
}

int Matrices(const Product& product) {
  const double most = std::min(kColdBytes / WeightBytes(product), kMostFlops / Flops(product));
  return std::clamp(static_cast<int>(most) + 1, 2, kMostMatrices);
}

std::shared_ptr<const Program> ProgramOf(const Product& product) {
  ProgramWriter w;
  const auto x = static_cast<int32_t>(w.Input("x", DType::kF32, {product.m, product.k}));
  const auto y = w.Output("y", DType::kF32, {product.m, product.n});
  for (int i = 0; i < Matrices(product); ++i) {
    const auto weight =
        static_cast<int32_t>(w.Param(Packing::kGemm, product.weights, {product.n, product.k}));
    w.AddStep(Kernel::kMatmul, {x, weight}, y,
              {1, static_cast<double>(product.k), product.strassen ? 1.0 : 0.0, 0});
  }
  return std::make_shared<const Program>(DecodeProgram(Encode(w.program)).value());
}

void RunProduct(Device& device, const Product& product, int rounds) {
  const std::shared_ptr<const Program> program = ProgramOf(product);
  HostTensor tensor{program->params[0].shape, {}};
  for (int64_t i = 0; i < product.n * product.k; ++i) {
    tensor.data.push_back(static_cast<float>(i % 17) * 0.01f - 0.08f);
  }
  std::vector<std::shared_ptr<Pack>> packs;
  for (const ParamSpec& spec : program->params) {
    packs.push_back(device.MakePack(spec, tensor).value());
  }
  const auto executable = std::move(device.Bind(program, packs)).value();
  const auto lane = std::move(device.OpenLane()).value();
  std::vector<std::shared_ptr<Buffer>> memory;
  std::vector<RowBinding> inputs, outputs;
  const auto bind = [&](const Port& port, std::vector<RowBinding>& bindings) {
    const int64_t bytes = program->buffers[port.buffer].row_bytes();
    memory.push_back(device.Allocate(bytes).value());
    bindings.push_back({nullptr, memory.back().get(), 0, bytes});
  };
  for (const Port& port : program->inputs) bind(port, inputs);
  for (const Port& port : program->outputs) bind(port, outputs);
  const auto peak = [&](const char* name) {
    return device.MeasurePeak(*lane, {name, 0, kPeakTime, nullptr}).value();
  };
  const std::string fma = FmaPeakOf(device.info().arithmetic);
  const double matrices = Matrices(product);
  const double flops = Flops(product);
  const double bytes = WeightBytes(product);
  double fma_peak = 0, memory_peak = 0;
  std::vector<double> times;
  for (int round = -1; round < rounds; ++round) {
    fma_peak = std::max(fma_peak, peak(fma.c_str()));
    memory_peak = std::max(memory_peak, peak("memory_read"));
    const double start = Now(device.info().threads);
    if (!device.Run(*lane, *executable, {1, inputs, outputs, nullptr, {}}).ok()) std::abort();
    if (round >= 0) times.push_back((Now(device.info().threads) - start) / matrices);
  }
  const double seconds = Median(times);
  std::printf("%-16s %5ld x %4ld x %5ld %-4s %8.3f ms %7.1f GFLOP/s %6.2f GB/s", product.where,
              product.m, product.k, product.n, product.weights == DType::kBF16 ? "bf16" : "f32",
              1e3 * seconds, 1e-9 * flops / seconds, 1e-9 * bytes / seconds);
  std::printf("  fma %3.0f %%  roof %3.0f %%\n", 100 * flops / seconds / fma_peak,
              100 * std::max(flops / fma_peak, bytes / memory_peak) / seconds);
  std::fflush(stdout);
}

}  // namespace
}  // namespace irodori::test

int main(int count, char** arguments) {
  using namespace irodori;
  using namespace irodori::test;
  const std::unique_ptr<Device> device = OpenBenchDevice(count, arguments);
  const int rounds = count > 3 ? std::atoi(arguments[3]) : 5;
  const DeviceInfo& info = device->info();
  std::printf("%s, %s, %d threads\n", info.name.c_str(), info.arithmetic.c_str(), info.threads);
  constexpr DType kF32 = DType::kF32, kBF16 = DType::kBF16;
  const Product products[] = {
      {"xl", 256, 1152, 3456},
      {"xl", 256, 1152, 1152},
      {"xl", 256, 1152, 4608},
      {"xl", 256, 4608, 1152},
      {"xl-bf16", 256, 1152, 4608, kBF16},
      {"xl-strassen", 256, 1152, 3456, kF32, true},
      {"xl-strassen", 256, 1152, 1152, kF32, true},
      {"xl-strassen", 256, 1152, 4608, kF32, true},
      {"xl-strassen", 256, 4608, 1152, kF32, true},
      {"xl-bf16-strassen", 256, 1152, 4608, kBF16, true},
      {"xl512", 1024, 1152, 4608},
      {"xl512-strassen", 1024, 1152, 4608, kF32, true},
      {"mmdit", 4096, 1536, 1536},
      {"mmdit-strassen", 4096, 1536, 1536, kF32, true},
      {"small", 64, 384, 1152},
      {"small", 64, 384, 384},
      {"small", 64, 384, 1536},
      {"small", 64, 1536, 384},
      {"small-bf16", 64, 384, 1536, kBF16},
      {"unet64", 4096, 320, 320},
      {"unet64", 4096, 320, 960},
      {"unet64", 4096, 320, 2560},
      {"unet64", 4096, 1280, 320},
      {"unet32", 1024, 640, 640},
      {"unet32", 1024, 640, 5120},
      {"unet32", 1024, 2560, 640},
      {"unet16", 256, 1280, 1280},
      {"unet16", 256, 1280, 10240},
      {"unet16", 256, 5120, 1280},
      {"unet8", 64, 1280, 1280},
      {"unet8", 64, 5120, 1280},
      {"rows16", 16, 256, 1024, kBF16},
      {"rows16", 16, 1024, 256, kBF16},
      {"rows16", 16, 1024, 1024},
      {"rows1", 1, 1152, 4608},
      {"rows1-bf16", 1, 1152, 4608, kBF16},
  };
  for (const Product& product : products) {
    bool wanted = count <= 4;
    const std::string name = Message(product.where, "m", product.m, "k", product.k, "n", product.n);
    for (int i = 4; i < count; ++i) wanted = wanted || name.find(arguments[i]) != std::string::npos;
    if (wanted) RunProduct(*device, product, rounds);
  }
  return 0;
}
