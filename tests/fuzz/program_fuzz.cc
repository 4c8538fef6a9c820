// Fuzz target of Programs. What the decoder accepts must encode to the same bytes, and must run:
// the reference device executes it on blocks of exactly the promised sizes, so that a rule the
// verifier lacks becomes a sanitizer's finding.
#include <cstring>
#include <memory>
#include <vector>

#include "native/core/backend.h"
#include "native/core/bytes.h"
#include "native/core/program.h"
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

void Run(std::shared_ptr<const Program> program) {
  constexpr int64_t kRows = 2;
  const std::unique_ptr<Device> device = OpenReferenceDevice().value();
  std::vector<std::shared_ptr<Pack>> packs;
  for (const ParamSpec& spec : program->params) {
    const HostTensor tensor{spec.shape,
                            std::vector<float>(static_cast<size_t>(Elements(spec.shape)), 0.5f)};
    packs.push_back(device->MakePack(spec, tensor).value());
  }
  // One block per row and port, so that reading past a row is reading past a block.
  std::vector<std::vector<std::byte>> blocks;
  std::vector<RowBinding> inputs;
  std::vector<RowBinding> outputs;
  const auto bind = [&](const std::vector<Port>& ports, std::vector<RowBinding>& bindings) {
    for (const Port& port : ports) {
      for (int64_t row = 0; row < kRows; ++row) {
        const int64_t size = program->buffers[port.buffer].row_bytes();
        bindings.push_back(
            {blocks.emplace_back(static_cast<size_t>(size)).data(), nullptr, 0, size});
      }
    }
  };
  bind(program->inputs, inputs);
  bind(program->outputs, outputs);
  const std::unique_ptr<Executable> executable = device->Bind(program, packs).value();
  const std::unique_ptr<Lane> lane = device->OpenLane().value();
  const Status status = device->Run(*lane, *executable, {kRows, inputs, outputs, nullptr});
  REQUIRE(status.ok() ||
          status.code() == Code::kInvalidArgument);  // zeros are good ids, NaN lengths may not be
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
  if (Small(*program)) Run(program);
  return 0;
}
