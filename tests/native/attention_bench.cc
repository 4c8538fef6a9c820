// Attention at the shapes of the networks: milliseconds, and the share of the FMA peak that the
// same threads reached in the same seconds. Only the 4 L S K operations of the two products count,
// so the softmax between them shows as a distance from 100 %.
//
// Usage: irodori_attention_bench [family] [threads] [rounds] [dtype] [words of names to run...].
// Prints medians of the rounds; peak and attention take turns.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "native/core/backend.h"
#include "native/core/message.h"
#include "tests/native/bench.h"
#include "tests/native/program_writer.h"

namespace irodori::test {
namespace {

// Seconds of the process's own work, of all threads.
double Seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct AttentionShape {
  const char* where;
  int64_t heads, queries, keys, dim;
  bool joined = false;  // q, k and v lie in one [tokens, 3 · heads · K]
};

constexpr AttentionShape kShapes[] = {
    {"sd15-self", 8, 4096, 4096, 40},  {"sd15-self-joined", 8, 4096, 4096, 40, true},
    {"sd15-self", 8, 1024, 1024, 80},  {"sd15-self", 8, 256, 256, 160},
    {"sd15-self", 8, 64, 64, 160},     {"sd15-cross", 8, 4096, 77, 40},
    {"sd15-cross", 8, 1024, 77, 80},   {"sd15-cross", 8, 256, 77, 160},
    {"sdxl-self", 10, 4096, 4096, 64}, {"sdxl-cross", 10, 4096, 77, 64},
    {"dit-xl-self", 16, 256, 256, 72}, {"pixart-cross", 16, 1024, 120, 72},
    {"dit-self", 6, 64, 64, 64, true}, {"flux-self", 2, 1024, 1024, 128},
    {"vae-self", 1, 4096, 4096, 512},  {"bundled-self", 8, 16, 16, 32, true},
    {"bundled-cross", 8, 16, 8, 32},
};

// One attention step, ready to run.
class Contender {
 public:
  Contender(Device& device, const AttentionShape& shape, DType dtype) : device_(device) {
    ProgramWriter w;
    const int64_t width = shape.heads * shape.dim;
    int32_t operands[3];
    if (shape.joined) {
      const uint32_t all = w.Input("qkv", dtype, {shape.keys, 3 * width});
      for (int64_t i = 0; i < 3; ++i) {
        const auto offset = static_cast<uint64_t>(i * width * DTypeBytes(dtype));
        operands[i] = static_cast<int32_t>(w.View(all, {shape.keys, width}, 3 * width, offset));
      }
    } else {
      for (int64_t i = 0; i < 3; ++i) {
        const int64_t tokens = i == 0 ? shape.queries : shape.keys;
        operands[i] = static_cast<int32_t>(w.Input(Message("input", i), dtype, {tokens, width}));
      }
    }
    w.AddStep(Kernel::kAttention, {operands[0], operands[1], operands[2], -1},
              w.Output("y", dtype, {shape.queries, width}),
              {static_cast<double>(shape.heads), 0, 1 / std::sqrt(static_cast<double>(shape.dim)),
               static_cast<double>(device.info().attention_key_block)});
    const Result<Program> decoded = DecodeProgram(Encode(w.program));
    if (!decoded.ok()) std::printf("%s\n", decoded.status().message().c_str()), std::abort();
    const auto program = std::make_shared<const Program>(decoded.value());
    executable_ = std::move(device.Bind(program, {})).value();
    lane_ = std::move(device.OpenLane()).value();
    int64_t seed = 1;
    for (const std::vector<Port>* ports : {&program->inputs, &program->outputs}) {
      for (const Port& port : *ports) {
        const BufferSpec& spec = program->buffers[port.buffer];
        const int64_t bytes = spec.row_bytes();
        std::vector<std::byte>& memory = memory_.emplace_back(static_cast<size_t>(bytes));
        for (int64_t i = 0; i < bytes / DTypeBytes(dtype); ++i) {
          seed = (seed * 1103515245 + 12345) & 0x7fffffff;
          const float value = static_cast<float>(seed >> 8) / 0x400000 - 1;
          uint32_t bits;
          std::memcpy(&bits, &value, 4);
          if (dtype == DType::kF32) {
            std::memcpy(memory.data() + 4 * i, &bits, 4);
          } else {  // as bfloat16; as float16 it is some number below 2
            bits >>= 16;
            std::memcpy(memory.data() + 2 * i, &bits, 2);
          }
        }
        bindings_.push_back({memory.data(), nullptr, 0, bytes});
      }
    }
  }

  // Seconds of a call, over `calls` of them.
  double Run(int64_t calls) {
    const std::span<const RowBinding> all(bindings_);
    const double start = Seconds();
    for (int64_t i = 0; i < calls; ++i) {
      if (!device_
               .Run(*lane_, *executable_, {1, all.first(all.size() - 1), all.last(1), nullptr, {}})
               .ok())
        std::abort();
    }
    return (Seconds() - start) / static_cast<double>(calls);
  }

  Lane& lane() { return *lane_; }

 private:
  Device& device_;
  std::unique_ptr<Executable> executable_;
  std::unique_ptr<Lane> lane_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<RowBinding> bindings_;
};

void RunShape(Device& device, const AttentionShape& shape, DType dtype, int rounds) {
  Contender contender(device, shape, dtype);
  const double flops =
      4.0 * static_cast<double>(shape.heads * shape.queries * shape.keys * shape.dim);
  const std::string name_of_peak = FmaPeakOf(device.info().arithmetic);
  const double first = std::max(contender.Run(1), 1e-6);
  const auto calls = static_cast<int64_t>(std::clamp(0.02 / first, 1.0, 1000.0));
  std::vector<double> times, shares;
  for (int round = 0; round < rounds; ++round) {
    const double wall = WallSeconds(), own = Seconds();
    const PeakArgs args{name_of_peak, 0, std::chrono::milliseconds(20), {}};
    const double rate = device.MeasurePeak(contender.lane(), args).value();
    const double peak = rate * (WallSeconds() - wall) / (Seconds() - own);
    times.push_back(contender.Run(calls));
    shares.push_back(flops / times.back() / peak);
  }
  const std::string name =
      Message(shape.where, " ", shape.heads, "x", shape.queries, "x", shape.keys, ", ", shape.dim);
  std::printf("%-36s %9.3f ms %7.1f GFLOP/s %5.1f %% of peak, best %5.1f %%\n", name.c_str(),
              Median(times) * 1e3, flops / Median(times) * 1e-9, Median(shares) * 100,
              *std::max_element(shares.begin(), shares.end()) * 100);
  std::fflush(stdout);
}

}  // namespace
}  // namespace irodori::test

int main(int count, char** arguments) {
  using namespace irodori;
  using namespace irodori::test;
  const std::unique_ptr<Device> device = OpenBenchDevice(count, arguments);
  const int rounds = count > 3 ? std::atoi(arguments[3]) : 9;
  const std::string type = count > 4 ? arguments[4] : "f32";
  const DType dtype = type == "bf16" ? DType::kBF16 : type == "f16" ? DType::kF16 : DType::kF32;
  const DeviceInfo& info = device->info();
  std::printf("%s, %s, %d threads, %s\n", info.name.c_str(), info.arithmetic.c_str(), info.threads,
              type.c_str());
  for (const AttentionShape& shape : kShapes) {
    bool wanted = count <= 5;
    const std::string name = Message(shape.where, shape.keys, "d", shape.dim);
    for (int i = 5; i < count; ++i) wanted = wanted || name.find(arguments[i]) != std::string::npos;
    if (wanted) RunShape(*device, shape, dtype, rounds);
  }
  return 0;
}
