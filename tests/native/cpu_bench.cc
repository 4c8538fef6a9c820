// Micro-benchmark of the CPU kernels: GFLOP/s on one thread beside the register-only FMA peak of
// the same moment.
//
// Usage: irodori_cpu_bench [family] [threads]. Peak and kernel alternate, so that neither clock
// changes nor other processes decide the ratio; the median of 9 rounds is printed.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "native/core/backend.h"
#include "native/core/message.h"
#include "tests/native/program_writer.h"

namespace irodori::test {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point since) {
  return std::chrono::duration<double>(Clock::now() - since).count();
}

// Twelve independent chains of 256-bit FMAs: what one core can do at most with AVX2.
__attribute__((target("avx2,fma"))) double PeakFlops() {
  constexpr int kIterations = 400'000;
  __m256 chains[12];
  for (__m256& chain : chains) chain = _mm256_set1_ps(1e-3f);
  const __m256 a = _mm256_set1_ps(0.999f);
  const __m256 b = _mm256_set1_ps(1e-4f);
  const auto start = Clock::now();
  for (int i = 0; i < kIterations; ++i) {
    for (__m256& chain : chains) chain = _mm256_fmadd_ps(chain, a, b);
    asm volatile("" : "+x"(chains[0]));
  }
  const double seconds = Seconds(start);
  float sum = 0;
  for (const __m256& chain : chains) sum += _mm256_cvtss_f32(chain);
  volatile float sink = sum;
  (void)sink;
  return kIterations * 12.0 * 16.0 / seconds;
}

struct Bench {
  std::string name;
  double flops;
  ProgramWriter writer;
  int64_t rows = 1;
};

Bench Gemm(int64_t m, int64_t n, int64_t k, DType dtype) {
  Bench bench{Message("gemm ", m, "x", n, "x", k, dtype == DType::kBF16 ? " bf16" : " f32"),
              2.0 * static_cast<double>(m * n * k),
              {}};
  ProgramWriter& w = bench.writer;
  const auto x = static_cast<int32_t>(w.Input("x", dtype, {m, k}));
  const auto weight = static_cast<int32_t>(w.Param(Packing::kGemm, dtype, {n, k}));
  const auto bias = static_cast<int32_t>(w.Param(Packing::kPlain, dtype, {n}));
  w.AddStep(Kernel::kMatmul, {x, weight, bias}, w.Output("y", dtype, {m, n}),
            {1, static_cast<double>(k), 0, 0});
  return bench;
}

Bench Conv(int64_t size, int64_t channels, DType dtype) {
  const int64_t k = 9 * channels;
  Bench bench{Message("conv3x3 ", channels, "->", channels, "@", size,
                      dtype == DType::kBF16 ? " bf16" : " f32"),
              2.0 * static_cast<double>(size * size * channels * k),
              {}};
  ProgramWriter& w = bench.writer;
  const auto x = static_cast<int32_t>(w.Input("x", dtype, {size, size, channels}));
  const auto weight =
      static_cast<int32_t>(w.Param(Packing::kGemm, dtype, {channels, 3, 3, channels}));
  const auto bias = static_cast<int32_t>(w.Param(Packing::kPlain, dtype, {channels}));
  w.AddStep(Kernel::kConv2d, {x, weight, bias}, w.Output("y", dtype, {size, size, channels}),
            {3, 3, 1, 1, 1, 1, 1, 1, 1, static_cast<double>(k), 1, 0, 0},
            {{Epilogue::kRelu, -1, 0}});
  return bench;
}

Bench Attention(int64_t heads, int64_t tokens, int64_t dim, DType dtype) {
  Bench bench{Message("attention ", heads, "x", tokens, "x", tokens, " d", dim,
                      dtype == DType::kBF16 ? " bf16" : " f32"),
              4.0 * static_cast<double>(heads * tokens * tokens * dim),
              {}};
  ProgramWriter& w = bench.writer;
  const Shape shape{tokens, heads * dim};
  const auto q = static_cast<int32_t>(w.Input("q", dtype, shape));
  const auto k = static_cast<int32_t>(w.Input("k", dtype, shape));
  const auto v = static_cast<int32_t>(w.Input("v", dtype, shape));
  w.AddStep(Kernel::kAttention, {q, k, v, -1}, w.Output("y", dtype, shape),
            {static_cast<double>(heads), 0, 0.1, 64});
  return bench;
}

// No FLOPs to speak of: printed as elements per second.
Bench Rows(const char* name, Kernel kernel, int64_t m, int64_t n, std::vector<double> attrs,
           std::vector<EpilogueOp> epilogue) {
  Bench bench{Message(name, " ", m, "x", n, " f32 (elements)"), static_cast<double>(m * n), {}};
  ProgramWriter& w = bench.writer;
  std::vector<int32_t> operands{static_cast<int32_t>(w.Input("x", DType::kF32, {m, n}))};
  if (kernel == Kernel::kLayerNorm) operands.insert(operands.end(), {-1, -1});
  w.AddStep(kernel, operands, w.Output("y", DType::kF32, {m, n}), std::move(attrs),
            std::move(epilogue));
  return bench;
}

int RunBench(Device& device, const Bench& bench) {
  Result<Program> decoded = DecodeProgram(Encode(bench.writer.program));
  if (!decoded.ok()) return std::printf("%s\n", decoded.status().message().c_str()), 1;
  const auto program = std::make_shared<const Program>(std::move(decoded).value());
  std::vector<std::shared_ptr<Pack>> packs;
  for (const ParamSpec& spec : program->params) {
    HostTensor tensor{spec.shape, std::vector<float>(static_cast<size_t>(Elements(spec.shape)))};
    for (size_t i = 0; i < tensor.data.size(); ++i)
      tensor.data[i] = static_cast<float>(i % 17) * 0.01f - 0.08f;
    packs.push_back(device.MakePack(spec, tensor).value());
  }
  const auto executable = std::move(device.Bind(program, packs)).value();
  const auto lane = std::move(device.OpenLane()).value();
  std::vector<std::shared_ptr<Buffer>> memory;
  const auto bind = [&](const std::vector<Port>& ports) {
    std::vector<RowBinding> bindings;
    for (const Port& port : ports) {
      for (int64_t row = 0; row < bench.rows; ++row) {
        const int64_t bytes = program->buffers[port.buffer].row_bytes();
        memory.push_back(device.Allocate(bytes).value());
        bindings.push_back({nullptr, memory.back().get(), 0, bytes});
      }
    }
    return bindings;
  };
  const std::vector<RowBinding> inputs = bind(program->inputs);
  const std::vector<RowBinding> outputs = bind(program->outputs);
  const RunArgs args{bench.rows, inputs, outputs, nullptr};
  const auto time_one = [&](int64_t times) {
    const auto start = Clock::now();
    for (int64_t i = 0; i < times; ++i) {
      if (!device.Run(*lane, *executable, args).ok()) std::abort();
    }
    return Seconds(start) / static_cast<double>(times);
  };
  const double first = time_one(1);
  const auto times = std::max<int64_t>(1, static_cast<int64_t>(0.03 / std::max(first, 1e-7)));
  std::vector<double> ratios, rates;
  for (int round = 0; round < 9; ++round) {
    const double peak = PeakFlops();
    const double rate = bench.flops / time_one(times);
    rates.push_back(rate);
    ratios.push_back(rate / peak);
  }
  std::sort(ratios.begin(), ratios.end());
  std::sort(rates.begin(), rates.end());
  std::printf("%-34s %8.2f G/s median, %8.2f best, %5.1f %% of the FMA peak (%.1f to %.1f)\n",
              bench.name.c_str(), rates[4] * 1e-9, rates[8] * 1e-9, ratios[4] * 100,
              ratios[0] * 100, ratios[8] * 100);
  return 0;
}

}  // namespace
}  // namespace irodori::test

int main(int count, char** arguments) {
  using namespace irodori;
  using namespace irodori::test;
  const std::string family = count > 1 ? arguments[1] : "auto";
  const int threads = count > 2 ? std::atoi(arguments[2]) : 1;
  Result<std::unique_ptr<Device>> device = OpenCpuDevice({family, threads});
  if (!device.ok()) return std::printf("%s\n", device.status().message().c_str()), 1;
  std::printf("%s, %s, %d threads\n", device.value()->info().name.c_str(),
              device.value()->info().arithmetic.c_str(), device.value()->info().threads);
  std::vector<Bench> benches;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    benches.push_back(Gemm(256, 1152, 1152, dtype));
    benches.push_back(Gemm(256, 4608, 1152, dtype));
    benches.push_back(Gemm(256, 1152, 4608, dtype));
    benches.push_back(Gemm(16, 1024, 256, dtype));
    benches.push_back(Gemm(1, 1536, 256, dtype));
    benches.push_back(Conv(64, 64, dtype));
    benches.push_back(Conv(8, 64, dtype));
    benches.push_back(Attention(16, 256, 72, dtype));
    benches.push_back(Attention(8, 16, 32, dtype));
  }
  benches.push_back(Rows("layer_norm", Kernel::kLayerNorm, 256, 1152, {1e-6}, {}));
  benches.push_back(Rows("gelu", Kernel::kElementwise, 256, 4608, {}, {{Epilogue::kGelu, -1, 0}}));
  benches.push_back(
      Rows("gelu_tanh", Kernel::kElementwise, 256, 4608, {}, {{Epilogue::kGeluTanh, -1, 0}}));
  benches.push_back(Rows("silu", Kernel::kElementwise, 256, 4608, {}, {{Epilogue::kSilu, -1, 0}}));
  benches.push_back(Rows("copy", Kernel::kElementwise, 256, 4608, {}, {}));
  for (const Bench& bench : benches) {
    if (RunBench(*device.value(), bench) != 0) return 1;
  }
  return 0;
}
