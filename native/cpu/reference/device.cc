// The reference device: one thread, float64 arithmetic, one rounding per step. Every other backend
// is compared with it.
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "native/core/backend.h"
#include "native/core/host_memory.h"
#include "native/core/message.h"
#include "native/core/operands.h"
#include "native/core/step_clock.h"
#include "native/core/usable_memory.h"
#include "native/cpu/reference/kernels.h"
#include "native/cpu/reference/quantized.h"
#include "native/cpu/reference/values.h"

namespace irodori {
namespace reference {
namespace {

// Elements rounded to the parameter's type, row-major, whatever packing was asked for; i8 as
// quantized.h says.
class PlainPack final : public Pack {
 public:
  PlainPack(ParamSpec spec, HostMemory memory)
      : spec_(std::move(spec)), memory_(std::move(memory)) {}
  int64_t size_bytes() const override { return memory_.size_bytes(); }
  const ParamSpec& spec() const { return spec_; }
  std::byte* data() { return memory_.data(); }

 private:
  ParamSpec spec_;
  HostMemory memory_;
};

class BoundProgram final : public Executable {
 public:
  BoundProgram(std::shared_ptr<const Program> program, std::vector<std::shared_ptr<Pack>> packs,
               std::vector<std::byte*> params)
      : program_(std::move(program)), packs_(std::move(packs)), params_(std::move(params)) {}
  const Program& program() const override { return *program_; }
  std::span<std::byte* const> params() const { return params_; }

 private:
  std::shared_ptr<const Program> program_;
  std::vector<std::shared_ptr<Pack>> packs_;  // keeps params_ alive
  std::vector<std::byte*> params_;
};

class ArenaLane final : public Lane {
 public:
  int64_t arena_bytes() const override { return arena_.size_bytes(); }

  // At least `size_bytes`, every real number in it NaN: what a step fails to write shows.
  Result<std::byte*> Arena(int64_t size_bytes) {
    if (size_bytes > arena_.size_bytes()) {
      arena_ = HostMemory();
      arena_ = HostMemory(size_bytes);
      if (arena_.data() == nullptr) return NoHostMemory("run: arena", size_bytes);
    }
    if (size_bytes > 0) std::memset(arena_.data(), 0xff, static_cast<size_t>(size_bytes));
    return arena_.data();
  }

 private:
  HostMemory arena_;
};

using KernelFunction = Status (*)(const KernelArgs& args, Values& y);
constexpr KernelFunction kKernels[] = {
    // in the order of Kernel
    Matmul,      Conv2d,    Attention,   LayerNorm,     GroupNorm,      RmsNorm,           Softmax,
    Elementwise, Embedding, StridedCopy, ResizeNearest, ResizeBilinear, TimestepEmbedding,
};
static_assert(std::size(kKernels) == static_cast<size_t>(Kernel::kTimestepEmbedding) + 1);

Values LoadBuffer(const Program& program, const Operands& operands, int32_t buffer, int64_t row) {
  const BufferSpec& spec = program.buffers[buffer];
  if (IsInt8(spec.dtype)) {
    return LoadQuantized(operands.Data(static_cast<uint32_t>(buffer), row), spec.shape);
  }
  return Load(operands.Row(static_cast<uint32_t>(buffer), row), spec.shape);
}

Status RunStepRow(const Program& program, const Operands& operands, const Step& step, int64_t row,
                  std::array<Values, 4>& loaded, AbortFlag abort) {
  KernelArgs args{step, {}, {}, abort};
  for (size_t i = 0; i < step.operands.size(); ++i) {
    const int32_t buffer = step.operands[i];
    if (buffer < 0) continue;
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    // Parameters are the same for all rows: widened once per step.
    if (row == 0 || program.buffers[buffer].storage != StorageKind::kParam) {
      loaded[i] = LoadBuffer(program, operands, buffer, row);
    }
    args.operands[i] = &loaded[i];
    args.rows[i] = operands.Row(static_cast<uint32_t>(buffer), row);
  }
  const Shape& shape = program.buffers[step.output].shape;
  Values y{shape, std::vector<double>(static_cast<size_t>(Elements(shape)), NAN)};
  IRODORI_RETURN_IF_ERROR(kKernels[static_cast<size_t>(step.kernel)](args, y));
  for (const EpilogueOp& op : step.epilogue) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    if (op.operand < 0) {
      ApplyEpilogue(op, nullptr, y);
    } else {
      const Values operand = LoadBuffer(program, operands, op.operand, row);
      ApplyEpilogue(op, &operand, y);
    }
  }
  Store(y, operands.Row(step.output, row));
  return Status::Ok();
}

Status RunProgram(ArenaLane& lane, const BoundProgram& bound, const RunArgs& run) {
  const Program& program = bound.program();
  IRODORI_RETURN_IF_ERROR(CheckRunArgs(program, run));
  const Result<int64_t> arena_bytes = RunArenaBytes(program, run.rows);
  IRODORI_RETURN_IF_ERROR(arena_bytes.status());
  const Result<std::byte*> arena = lane.Arena(arena_bytes.value());
  IRODORI_RETURN_IF_ERROR(arena.status());
  const Operands operands(program, run, arena.value(), bound.params());
  StepClock clock(run.step_ns);
  for (const Step& step : program.steps) {
    std::array<Values, 4> loaded;
    for (int64_t row = 0; row < run.rows; ++row) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(run.abort));
      IRODORI_RETURN_IF_ERROR(RunStepRow(program, operands, step, row, loaded, run.abort));
    }
    clock.EndStep();
  }
  return Status::Ok();
}

Status NoMemory(std::string_view what) {
  return {Code::kOutOfMemory, Message(what, ": expected memory, got none")};
}

class ReferenceDevice final : public Device {
 public:
  ReferenceDevice() {
    info_.backend = "reference";
    info_.name = "reference";
    info_.arithmetic = "scalar";
    info_.dtypes = {DType::kF32, DType::kF16, DType::kBF16};
    info_.preferred_dtype = DType::kF32;
    info_.memory_bytes = UsableMemoryBytes();
  }

  const DeviceInfo& info() const override { return info_; }

  Result<std::shared_ptr<Pack>> MakePack(const ParamSpec& spec, const HostTensor& tensor,
                                         AbortFlag abort) override try {
    const auto size = static_cast<int64_t>(tensor.data.size());
    if (Elements(spec.shape) != size || Elements(tensor.shape) != size) {
      return Status(Code::kShapeMismatch,
                    Message("pack: expected ", std::span<const int64_t>(spec.shape), ", got ",
                            std::span<const int64_t>(tensor.shape), " with ", size, " values"));
    }
    const bool quantized = IsInt8(spec.dtype) && !spec.shape.empty();
    const int64_t n = quantized ? spec.shape[0] : 0;
    const int64_t bytes =
        quantized ? QuantizedBytes(n, n == 0 ? 0 : size / n) : size * DTypeBytes(spec.dtype);
    HostMemory memory(bytes);
    if (memory.data() == nullptr) return NoHostMemory("pack", bytes);
    IRODORI_RETURN_IF_ERROR(
        quantized ? QuantizeWeights(tensor.data, n, Int8SumsOf(spec.dtype), memory.data(), abort)
                  : Round(tensor.data, spec.dtype, memory.data(), abort));
    return std::shared_ptr<Pack>(std::make_shared<PlainPack>(spec, std::move(memory)));
  } catch (const std::bad_alloc&) {
    return NoMemory("pack");
  }

  Result<std::shared_ptr<Buffer>> Allocate(int64_t size_bytes) override try {
    return HostBuffer::Allocate(size_bytes);
  } catch (const std::bad_alloc&) {
    return NoMemory("buffer");
  }

  Result<std::unique_ptr<Executable>> Bind(std::shared_ptr<const Program> program,
                                           std::vector<std::shared_ptr<Pack>> packs,
                                           AbortFlag /*abort*/) override try {
    if (packs.size() != program->params.size()) {
      return Status(Code::kInvalidArgument,
                    Message("bind(", program->name, "): expected ", program->params.size(),
                            " packs, got ", packs.size()));
    }
    std::vector<std::byte*> params;
    for (size_t i = 0; i < packs.size(); ++i) {
      const ParamSpec& spec = program->params[i];
      auto* pack = dynamic_cast<PlainPack*>(packs[i].get());
      if (pack == nullptr || pack->spec().dtype != spec.dtype ||
          Elements(pack->spec().shape) != Elements(spec.shape)) {
        return Status(
            Code::kInvalidArgument,
            Message("bind(", program->name, "): expected a pack of this device for param ", i, " ",
                    std::span<const int64_t>(spec.shape), ", got another"));
      }
      params.push_back(pack->data());
    }
    return std::unique_ptr<Executable>(
        std::make_unique<BoundProgram>(std::move(program), std::move(packs), std::move(params)));
  } catch (const std::bad_alloc&) {
    return NoMemory("bind");
  }

  Result<std::unique_ptr<Lane>> OpenLane() override try {
    return std::unique_ptr<Lane>(std::make_unique<ArenaLane>());
  } catch (const std::bad_alloc&) {
    return NoMemory("lane");
  }

  Status Run(Lane& lane, const Executable& executable, const RunArgs& args) override try {
    auto* arena_lane = dynamic_cast<ArenaLane*>(&lane);
    const auto* bound = dynamic_cast<const BoundProgram*>(&executable);
    if (arena_lane == nullptr || bound == nullptr) {
      return {Code::kInvalidArgument,
              "run: expected a lane and an executable of the reference device, got another's"};
    }
    return RunProgram(*arena_lane, *bound, args);
  } catch (const std::bad_alloc&) {
    return NoMemory("run");
  }

 private:
  DeviceInfo info_;
};

}  // namespace
}  // namespace reference

Result<std::unique_ptr<Device>> OpenReferenceDevice() {
  return std::unique_ptr<Device>(std::make_unique<reference::ReferenceDevice>());
}

}  // namespace irodori
