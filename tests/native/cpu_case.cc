// Builds and runs one-step Programs, and holds kernels to the reference.
#include "tests/native/cpu_case.h"

#include <cmath>
#include <cstdio>
#include <cstring>

#include "native/core/float_types.h"
#include "native/core/message.h"
#include "tests/native/check.h"
#include "tests/native/program_writer.h"

namespace irodori::test {
namespace {

constexpr int64_t kGutterBytes = 64;

// A different stream of values in [low, high) for every seed; never zero by construction of the
// hash, so that a missing term shows.
class Values {
 public:
  explicit Values(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}
  double Next(double low, double high) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return low + (high - low) * static_cast<double>((state_ * 0x2545f4914f6cdd1du) >> 11) * 0x1p-53;
  }

 private:
  uint64_t state_;
};

void StoreValue(std::byte* at, DType dtype, double value) {
  const auto poke = [&](auto typed) { std::memcpy(at, &typed, sizeof typed); };
  switch (dtype) {
    case DType::kF32:
      return poke(static_cast<float>(value));
    case DType::kF16:
      return poke(F16FromFloat(static_cast<float>(value)));
    case DType::kBF16:
      return poke(BF16FromFloat(static_cast<float>(value)));
    case DType::kI32:
      return poke(static_cast<int32_t>(value));
    case DType::kI64:
      return poke(static_cast<int64_t>(value));
    case DType::kU8:
      return poke(static_cast<uint8_t>(value));
    case DType::kI8:
    case DType::kI8Sums16:
      return poke(static_cast<int8_t>(value));
  }
}

Shape Widened(const TensorSpec& tensor) {
  Shape shape = tensor.shape;
  if (!shape.empty()) shape.back() += tensor.gap;
  return shape;
}

// Memory of one row of one port: gutters of 0xff (NaN) around, and off by one element from any
// alignment.
struct Slot {
  std::vector<std::byte> memory;
  std::byte* data = nullptr;
  int64_t size_bytes = 0;

  Slot(int64_t bytes, int64_t element_bytes)
      : memory(static_cast<size_t>(bytes + 2 * kGutterBytes), std::byte{0xff}),
        data(memory.data() + kGutterBytes + element_bytes),
        size_bytes(bytes) {}
  bool GuttersIntact() const {
    for (const std::byte* p = memory.data(); p < memory.data() + memory.size(); ++p) {
      if ((p < data || p >= data + size_bytes) && *p != std::byte{0xff}) return false;
    }
    return true;
  }
};

// The Program of a case with what it takes to bind and run it.
class CaseProgram {
 public:
  explicit CaseProgram(const StepCase& step) : step_(step) {
    program_.name = step.name;
    program_.arena_bytes = 0;
    Step out{step.kernel, {}, 0, step.attrs, {}, step.name};
    for (size_t i = 0; i < step.operands.size(); ++i) {
      out.operands.push_back(step.operands[i] ? Add(*step.operands[i]) : -1);
    }
    for (const LinkSpec& link : step.epilogue) {
      out.epilogue.push_back({link.op, link.operand ? Add(*link.operand) : -1, link.value});
    }
    out.output = static_cast<uint32_t>(AddBuffer(step.out, StorageKind::kOutput, 0));
    program_.outputs.push_back({"out", output_root_});
    if (step.out.gap > 0) FillGap();
    program_.steps.push_back(out);
  }

  Result<Program> Decoded() const { return DecodeProgram(Encode(program_)); }
  const std::vector<TensorSpec>& inputs() const { return inputs_; }
  const std::vector<TensorSpec>& params() const { return params_; }
  const Program& program() const { return program_; }

 private:
  int32_t Add(const TensorSpec& tensor) {
    if (tensor.place == Place::kRow) {
      inputs_.push_back(tensor);
      const auto index = static_cast<uint32_t>(program_.inputs.size());
      const int32_t buffer = AddBuffer(tensor, StorageKind::kInput, index);
      program_.inputs.push_back({Message("in", index), input_root_});
      return buffer;
    }
    params_.push_back(tensor);
    const Packing packing = tensor.place == Place::kGemm       ? Packing::kGemm
                            : tensor.place == Place::kUpsample ? Packing::kUpsample
                                                               : Packing::kPlain;
    program_.params.push_back({packing, tensor.dtype, tensor.shape});
    return AddBuffer(tensor, StorageKind::kParam,
                     static_cast<uint32_t>(program_.params.size() - 1));
  }

  // A step of its own writes what lies between the output's vectors, before the step of the case:
  // it must survive.
  void FillGap() {
    TensorSpec gap = step_.out;
    gap.shape.back() = step_.out.gap;
    gap.gap = 0;
    const int32_t source = Add(gap);
    const BufferSpec& root = program_.buffers[output_root_];
    const auto offset = static_cast<uint64_t>(step_.out.shape.back() * DTypeBytes(gap.dtype));
    program_.buffers.push_back(
        {"gap", gap.dtype, gap.shape, root.pitch, StorageKind::kView, offset, output_root_});
    program_.steps.push_back({Kernel::kElementwise,
                              {source},
                              static_cast<uint32_t>(program_.buffers.size() - 1),
                              {},
                              {},
                              "gap"});
  }

  // The buffer, and a view of its first columns when there is a gap.
  int32_t AddBuffer(const TensorSpec& tensor, StorageKind storage, uint32_t index) {
    const Shape shape = Widened(tensor);
    const int64_t columns = shape.empty() ? 1 : shape.back();
    program_.buffers.push_back({"buffer", tensor.dtype, shape, columns, storage, 0, index});
    auto root = static_cast<uint32_t>(program_.buffers.size() - 1);
    if (storage == StorageKind::kInput) input_root_ = root;
    if (storage == StorageKind::kOutput) output_root_ = root;
    if (tensor.gap == 0) return static_cast<int32_t>(root);
    program_.buffers.push_back(
        {"view", tensor.dtype, tensor.shape, columns, StorageKind::kView, 0, root});
    return static_cast<int32_t>(root + 1);
  }

  const StepCase& step_;
  Program program_;
  std::vector<TensorSpec> inputs_, params_;
  uint32_t input_root_ = 0, output_root_ = 0;
};

double StorageStep(DType dtype) {
  return dtype == DType::kBF16 ? 0x1p-7 : dtype == DType::kF16 ? 0x1p-10 : 0x1p-22;
}

void Compare(const std::string& what, const StepCase& step, double absolute,
             const std::vector<double>& got, const std::vector<double>& want) {
  size_t wrong = 0;
  size_t first = 0;
  double largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double difference = std::fabs(got[i] - want[i]);
    const double tolerance = absolute + StorageStep(step.out.dtype) * std::fabs(want[i]);
    if (difference <= tolerance || got[i] == want[i]) continue;
    if (wrong++ == 0) first = i;
    largest = std::max(largest, difference);
  }
  if (wrong == 0) return;
  Fail(__FILE__, __LINE__,
       Message(what, ": at ", first, ": want ", want[first], ", got ", got[first],
               "; largest difference ", largest, ", ", wrong, " of ", want.size(), " wrong"));
}

}  // namespace

std::vector<double> Widen(const std::vector<std::byte>& bytes, DType dtype) {
  std::vector<double> values(bytes.size() / static_cast<size_t>(DTypeBytes(dtype)));
  for (size_t i = 0; i < values.size(); ++i) {
    const std::byte* at = bytes.data() + i * static_cast<size_t>(DTypeBytes(dtype));
    const auto peek = [&](auto typed) {
      std::memcpy(&typed, at, sizeof typed);
      return typed;
    };
    switch (dtype) {
      case DType::kF32:
        values[i] = static_cast<double>(peek(float{}));
        break;
      case DType::kF16:
        values[i] = static_cast<double>(FloatFromF16(peek(uint16_t{})));
        break;
      case DType::kBF16:
        values[i] = static_cast<double>(FloatFromBF16(peek(uint16_t{})));
        break;
      case DType::kI32:
        values[i] = peek(int32_t{});
        break;
      case DType::kI64:
        values[i] = static_cast<double>(peek(int64_t{}));
        break;
      case DType::kU8:
        values[i] = peek(uint8_t{});
        break;
      case DType::kI8:
      case DType::kI8Sums16:
        values[i] = peek(int8_t{});
        break;
    }
  }
  return values;
}

CaseRun RunCase(Device& device, const StepCase& step, int64_t first, int64_t rows) {
  CaseRun result;
  const auto failed = [&](const Status& status) {
    result.status = status;
    return result;
  };
  const CaseProgram made(step);
  Result<Program> decoded = made.Decoded();
  if (!decoded.ok()) return failed(decoded.status());
  const auto program = std::make_shared<const Program>(std::move(decoded).value());

  std::vector<std::shared_ptr<Pack>> packs;
  for (size_t i = 0; i < made.params().size(); ++i) {
    const TensorSpec& param = made.params()[i];
    Values values(1000 + i);
    HostTensor tensor{param.shape, {}};
    for (int64_t e = 0; e < Elements(param.shape); ++e) {
      tensor.data.push_back(static_cast<float>(values.Next(param.low, param.high)));
    }
    Result<std::shared_ptr<Pack>> pack = device.MakePack(program->params[i], tensor);
    if (!pack.ok()) return failed(pack.status());
    packs.push_back(std::move(pack).value());
  }
  Result<std::unique_ptr<Executable>> executable = device.Bind(program, packs);
  if (!executable.ok()) return failed(executable.status());
  Result<std::unique_ptr<Lane>> lane = device.OpenLane();
  if (!lane.ok()) return failed(lane.status());

  std::vector<Slot> slots;
  std::vector<RowBinding> inputs, outputs;
  for (size_t i = 0; i < made.inputs().size(); ++i) {
    const TensorSpec& input = made.inputs()[i];
    const int64_t element_bytes = DTypeBytes(input.dtype);
    const Shape shape = Widened(input);
    for (int64_t r = first; r < first + rows; ++r) {
      Slot slot(Elements(shape) * element_bytes, element_bytes);
      Values values(100000 + static_cast<uint64_t>(r) * 100 + i);
      for (int64_t e = 0; e < Elements(shape); ++e) {
        const bool gap =
            e % shape.back() >= input.shape.back();  // stays NaN: must not be read as a value
        const double value = values.Next(input.low, input.high);
        if (!gap) StoreValue(slot.data + e * element_bytes, input.dtype, value);
      }
      slots.push_back(std::move(slot));
      inputs.push_back({slots.back().data, nullptr, 0, slots.back().size_bytes});
    }
  }
  const int64_t out_bytes = Elements(Widened(step.out)) * DTypeBytes(step.out.dtype);
  const size_t first_output = slots.size();
  for (int64_t r = 0; r < rows; ++r) {
    slots.emplace_back(out_bytes, DTypeBytes(step.out.dtype));
    outputs.push_back({slots.back().data, nullptr, 0, out_bytes});
  }
  result.status = device.Run(*lane.value(), *executable.value(), {rows, inputs, outputs, nullptr});
  for (const Slot& slot : slots)
    result.gutters_intact = result.gutters_intact && slot.GuttersIntact();
  for (size_t i = first_output; i < slots.size(); ++i) {
    result.rows.emplace_back(slots[i].data, slots[i].data + out_bytes);
  }
  return result;
}

const std::vector<std::string>& RunningFamilies() {
  static const std::vector<std::string> families = [] {
    std::vector<std::string> running;
    for (const char* name : {"portable", "avx2", "avx512", "avx512_bf16", "amx"}) {
      const Result<std::unique_ptr<Device>> device = OpenCpuDevice({name, 1});
      if (device.ok()) {
        running.push_back(name);
      } else {
        std::printf("skipped family %s: %s\n", name, device.status().message().c_str());
      }
    }
    return running;
  }();
  return families;
}

void CheckCase(const std::string& instructions, const StepCase& step) {
  constexpr int64_t kRows = 3;
  const std::string what = Message(instructions, " ", step.name);
  const bool tiles = instructions == "amx" || instructions == "avx512_bf16";
  const double absolute = step.tolerance + (tiles ? step.tile_tolerance : 0);
  Result<std::unique_ptr<Device>> reference = OpenReferenceDevice();
  CHECK_OK(reference.status());
  const CaseRun want = RunCase(*reference.value(), step, 0, kRows);
  if (!want.status.ok())
    return Fail(__FILE__, __LINE__, Message(what, ": reference: ", want.status.message()));

  std::vector<std::vector<std::byte>> together;
  for (const int threads : {1, 2, 4}) {
    Result<std::unique_ptr<Device>> device = OpenCpuDevice({instructions, threads});
    CHECK_OK(device.status());
    if (!device.ok()) return;
    const CaseRun got = RunCase(*device.value(), step, 0, kRows);
    if (!got.status.ok())
      return Fail(__FILE__, __LINE__, Message(what, ": ", got.status.message()));
    if (!got.gutters_intact) Fail(__FILE__, __LINE__, Message(what, ": wrote outside the output"));
    if (threads == 1) {
      together = got.rows;
      for (int64_t r = 0; r < kRows; ++r) {
        const auto row = static_cast<size_t>(r);
        Compare(Message(what, " row ", r), step, absolute, Widen(got.rows[row], step.out.dtype),
                Widen(want.rows[row], step.out.dtype));
        const CaseRun alone = RunCase(*device.value(), step, r, 1);
        if (!alone.status.ok() || alone.rows[0] != got.rows[row]) {
          Fail(__FILE__, __LINE__,
               Message(what, ": row ", r, " alone has other bits than in a batch"));
        }
      }
    } else if (got.rows != together) {
      Fail(__FILE__, __LINE__, Message(what, ": other bits on ", threads, " threads"));
    }
  }
}

}  // namespace irodori::test
