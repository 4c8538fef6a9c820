// Fuzz target of Programs. What the decoder accepts must encode to the same bytes, and must run:
// the reference device and the cpu device's families execute it on blocks of exactly the promised
// sizes, so that a rule the verifier lacks becomes a sanitizer's finding. Where one step without
// extreme numbers makes an output, families must come near the reference.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "native/core/backend.h"
#include "native/core/bytes.h"
#include "native/core/float_types.h"
#include "native/core/program.h"
#include "native/core/verify.h"
#include "tests/fuzz/require.h"
#include "tests/native/program_writer.h"

namespace {

using namespace irodori;  // a fuzz target is its own program

// Programs above these sizes decode, but are not run: an execution should take milliseconds.
constexpr int64_t kMostBytes = 1 << 16;
constexpr int64_t kMostWork = 1 << 20;

// Multiply-adds of a step, roughly.
int64_t Work(const Program& program, const Step& step) {
  const auto buffer = [&](size_t operand) -> const BufferSpec& {
    return program.buffers[step.operands[operand]];
  };
  const int64_t output = Elements(program.buffers[step.output].shape);
  switch (step.kernel) {
    case Kernel::kMatmul:
    case Kernel::kConv2d:
      return output * (Elements(buffer(1).shape) / buffer(1).shape[0]);
    case Kernel::kAttention:
      return output * buffer(1).vectors();
    default:
      return output * static_cast<int64_t>(1 + step.epilogue.size());
  }
}

bool Small(const Program& program) {
  auto bytes = static_cast<int64_t>(program.arena_bytes);
  int64_t work = 0;
  for (const BufferSpec& buffer : program.buffers) {
    if (buffer.row_bytes() > kMostBytes || (bytes += buffer.row_bytes()) > kMostBytes) return false;
  }
  int64_t values = 0;
  for (const ParamSpec& param : program.params) {
    if (Elements(param.shape) > kMostBytes || (values += Elements(param.shape)) > kMostBytes)
      return false;
  }
  for (const Step& step : program.steps) {
    if ((work += Work(program, step)) > kMostWork) return false;
  }
  return true;
}

constexpr int64_t kRows = 2;

void Store(DType dtype, float value, std::byte* at) {
  const auto poke = [&](auto typed) { std::memcpy(at, &typed, sizeof typed); };
  if (dtype == DType::kF32) poke(value);
  if (dtype == DType::kF16) poke(F16FromFloat(value));
  if (dtype == DType::kBF16) poke(BF16FromFloat(value));
}

double Load(DType dtype, const std::byte* at) {
  const auto peek = [&](auto typed) {
    std::memcpy(&typed, at, sizeof typed);
    return typed;
  };
  if (dtype == DType::kF32) return static_cast<double>(peek(float{}));
  if (dtype == DType::kF16) return static_cast<double>(FloatFromF16(peek(uint16_t{})));
  return static_cast<double>(FloatFromBF16(peek(uint16_t{})));
}

// Different values in [-1, 1) at neighbouring places.
float ValueAt(int64_t i) { return static_cast<float>(i * 37 % 64 - 32) / 32; }

struct Outcome {
  Status status;
  std::vector<std::vector<std::byte>> outputs;  // port-major
};

// Real inputs are ValueAt, integers zero: good ids and, as lengths, no keys.
Outcome Run(Device& device, const std::shared_ptr<const Program>& program) {
  std::vector<std::shared_ptr<Pack>> packs;
  for (const ParamSpec& spec : program->params) {
    HostTensor tensor{spec.shape, std::vector<float>(static_cast<size_t>(Elements(spec.shape)))};
    for (size_t i = 0; i < tensor.data.size(); ++i)
      tensor.data[i] = ValueAt(static_cast<int64_t>(i) + 5);
    packs.push_back(device.MakePack(spec, tensor).value());
  }
  // One block per row and port, so that reading past a row is reading past a block.
  Outcome outcome;
  std::vector<std::vector<std::byte>> given;
  std::vector<RowBinding> inputs;
  std::vector<RowBinding> outputs;
  for (const Port& port : program->inputs) {
    const BufferSpec& spec = program->buffers[port.buffer];
    for (int64_t row = 0; row < kRows; ++row) {
      std::vector<std::byte>& block = given.emplace_back(static_cast<size_t>(spec.row_bytes()));
      for (int64_t i = 0; IsFloat(spec.dtype) && i < Elements(spec.shape); ++i)
        Store(spec.dtype, ValueAt(i + 11 * row), block.data() + i * DTypeBytes(spec.dtype));
      inputs.push_back({block.data(), nullptr, 0, spec.row_bytes()});
    }
  }
  for (const Port& port : program->outputs) {
    const int64_t size = program->buffers[port.buffer].row_bytes();
    for (int64_t row = 0; row < kRows; ++row) {
      auto& block = outcome.outputs.emplace_back(static_cast<size_t>(size), std::byte{0xff});
      outputs.push_back({block.data(), nullptr, 0, size});
    }
  }
  const std::unique_ptr<Executable> executable = device.Bind(program, packs).value();
  const std::unique_ptr<Lane> lane = device.OpenLane().value();
  outcome.status = device.Run(*lane, *executable, {kRows, inputs, outputs, nullptr});
  REQUIRE(outcome.status.ok() || outcome.status.code() == Code::kInvalidArgument);
  return outcome;
}

// Whether float32 and float64 come to nearly the same: one step, at most one epilogue op, and
// numbers of the size that networks use. What follows on another rounding may be anything.
bool Comparable(const Program& program) {
  if (program.steps.size() != 1) return false;
  const Step& step = program.steps[0];
  if (step.epilogue.size() > 1 || !IsFloat(program.buffers[step.output].dtype)) return false;
  const auto modest = [](double value) { return std::fabs(value) <= 16; };
  for (const EpilogueOp& op : step.epilogue) {
    // Exponentials of sums multiply their rounding.
    if (!modest(op.value) || op.op == Epilogue::kExp) return false;
  }
  switch (step.kernel) {
    case Kernel::kAttention:
      return modest(step.attrs[2]);
    case Kernel::kLayerNorm:
    case Kernel::kRmsNorm:
      return step.attrs[0] >= 1e-3;
    case Kernel::kGroupNorm:
      return step.attrs[1] >= 1e-3;
    case Kernel::kTimestepEmbedding:
      return false;
    default:
      return true;
  }
}

// A hundredth of the largest value of the row: far above any rounding, far below a wrong element.
void RequireNear(const Program& program, const Outcome& want, const Outcome& got) {
  for (size_t port = 0; port < program.outputs.size(); ++port) {
    const BufferSpec& spec = program.buffers[program.outputs[port].buffer];
    if (!IsFloat(spec.dtype)) continue;
    for (size_t row = 0; row < kRows; ++row) {
      const std::byte* a = want.outputs[port * kRows + row].data();
      const std::byte* b = got.outputs[port * kRows + row].data();
      const int64_t bytes = DTypeBytes(spec.dtype);
      double largest = 1;
      for (int64_t i = 0; i < Elements(spec.shape); ++i) {
        const double value = std::fabs(Load(spec.dtype, a + i * bytes));
        if (std::isfinite(value)) largest = std::max(largest, value);
      }
      for (int64_t i = 0; i < Elements(spec.shape); ++i) {
        const double x = Load(spec.dtype, a + i * bytes);
        const double y = Load(spec.dtype, b + i * bytes);
        if (!std::isfinite(x)) continue;
        const bool near = std::fabs(x - y) <= largest / 64;  // not of a NaN
        REQUIRE(near);
      }
    }
  }
}

// The families that run here, each on one thread: blocks stay on the thread that is traced.
const std::vector<std::unique_ptr<Device>>& Families() {
  static const auto& families = *new std::vector<std::unique_ptr<Device>>([] {
    std::vector<std::unique_ptr<Device>> made;
    for (const char* name : {"portable", "avx2"}) {
      Result<std::unique_ptr<Device>> device = OpenCpuDevice({name, 1});
      if (device.ok()) made.push_back(std::move(device).value());
    }
    return made;
  }());
  return families;
}

void RunEverywhere(const std::shared_ptr<const Program>& program) {
  const std::unique_ptr<Device> reference = OpenReferenceDevice().value();
  const Outcome want = Run(*reference, program);
  for (const std::unique_ptr<Device>& device : Families()) {
    const Outcome got = Run(*device, program);
    REQUIRE(got.status.code() == want.status.code());
    if (want.status.ok() && Comparable(*program)) RequireNear(*program, want, got);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  Result<Program> result = DecodeProgram(bytes);
  if (!result.ok()) {
    REQUIRE(result.status().code() == Code::kInvalidProgram);
    REQUIRE(IsUtf8(result.status().message()));
    return 0;
  }
  const auto program = std::make_shared<const Program>(std::move(result).value());
  // Operands left out at the end come back as -1: encoding again is a fixed point, not always the
  // input.
  const std::vector<std::byte> again = test::Encode(*program);
  const Result<Program> second = DecodeProgram(again);
  REQUIRE(second.ok() && test::Encode(second.value()) == again);
  if (Small(*program)) RunEverywhere(program);
  return 0;
}
