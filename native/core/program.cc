// Decodes Programs: form here, rules in verify_*.cc.
#include "native/core/program.h"

#include <array>
#include <cmath>
#include <iterator>
#include <new>

#include "native/core/bytes.h"
#include "native/core/message.h"
#include "native/core/shape.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

// Far above any network; they bound what a hostile encoding can make us do.
constexpr uint32_t kMaxSteps = 1'000'000;
constexpr uint32_t kMaxBuffers = 4'000'000;

struct KernelForm {
  std::string_view text;
  uint32_t operands;
  uint32_t required;
  int attrs;
  bool in_place;
};
constexpr std::array kKernels = {
#define KERNEL(name, text, operands, required, attrs, in_place) \
  KernelForm{text, operands, required, attrs, in_place != 0},
#include "native/core/kernels.def"
#undef KERNEL
};

struct EpilogueForm {
  std::string_view text;
  bool operand;
  bool value;
};
constexpr std::array kEpilogues = {
#define EPILOGUE(name, text, operand, value) EpilogueForm{text, operand != 0, value != 0},
#include "native/core/kernels.def"
#undef EPILOGUE
};

// The smallest encodings of list items: a count above remaining / minimum cannot be true.
constexpr size_t kMinBuffer = 4 + 1 + 4 + 8 + 1 + 8 + 8;
constexpr size_t kMinParam = 1 + 1 + 4;
constexpr size_t kMinPort = 4 + 4;
constexpr size_t kMinStep = 1 + 4 + 4 + 4 + 4 + 4;
constexpr size_t kEpilogueBytes = 1 + 4 + 8;

class Decoder {
 public:
  Decoder(std::span<const std::byte> bytes, AbortFlag abort) : reader_(bytes), abort_(abort) {}

  Result<Program> Decode() {
    IRODORI_RETURN_IF_ERROR(Header());
    IRODORI_RETURN_IF_ERROR(
        List("buffers", kMinBuffer, kMaxBuffers, program_.buffers, &Decoder::Buffer));
    IRODORI_RETURN_IF_ERROR(
        List("params", kMinParam, kMaxBuffers, program_.params, &Decoder::Param));
    IRODORI_RETURN_IF_ERROR(
        List("inputs", kMinPort, kMaxBuffers, program_.inputs, &Decoder::PortEntry));
    IRODORI_RETURN_IF_ERROR(
        List("outputs", kMinPort, kMaxBuffers, program_.outputs, &Decoder::PortEntry));
    IRODORI_RETURN_IF_ERROR(VerifyBuffers(program_));
    IRODORI_RETURN_IF_ERROR(
        List("steps", kMinStep, kMaxSteps, program_.steps, &Decoder::StepEntry));
    if (reader_.remaining() > 0)
      return Fail("end of the program", Message(reader_.remaining(), " more bytes"));
    for (size_t step = 0; step < program_.steps.size(); ++step) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
      IRODORI_RETURN_IF_ERROR(VerifyStep(program_, step));
    }
    IRODORI_RETURN_IF_ERROR(VerifyDataflow(program_, abort_));
    return std::move(program_);
  }

 private:
  Status Fail(std::string_view expected, std::string_view got) const {
    return {Code::kInvalidProgram,
            Message("program(", program_.name, "): at byte ", reader_.position(), ": expected ",
                    expected, ", got ", got)};
  }
  Status Truncated(std::string_view what) const {
    return Fail(what, Message("the end after ", reader_.remaining(), " bytes"));
  }

  template <typename T>
  Status Read(T& value, std::string_view what) {
    return reader_.Read(value) ? Status::Ok() : Truncated(what);
  }

  // A count, checked against the bytes that are left before anything is allocated for it.
  Status Count(uint32_t& count, size_t item_bytes, uint32_t most, std::string_view what) {
    IRODORI_RETURN_IF_ERROR(Read(count, what));
    if (count > most || count > reader_.remaining() / item_bytes) {
      return Fail(Message("a number of ", what, " that fits ", reader_.remaining(), " bytes"),
                  Message(count));
    }
    return Status::Ok();
  }

  template <typename T>
  Status List(std::string_view what, size_t item_bytes, uint32_t most, std::vector<T>& items,
              Status (Decoder::*item)(T&)) {
    uint32_t count = 0;
    IRODORI_RETURN_IF_ERROR(Count(count, item_bytes, most, what));
    items.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
      IRODORI_RETURN_IF_ERROR((this->*item)(items.emplace_back()));
    }
    return Status::Ok();
  }

  Status String(std::string& text, std::string_view what) {
    uint32_t length = 0;
    IRODORI_RETURN_IF_ERROR(Count(length, 1, UINT32_MAX, what));
    std::span<const std::byte> bytes;
    if (!reader_.ReadBytes(length, bytes)) return Truncated(what);
    const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!IsUtf8(view)) return Fail(Message(what, " in UTF-8"), Quoted(view));
    text = view;
    return Status::Ok();
  }

  template <typename E>
  Status Enum(E& value, uint8_t count, std::string_view what) {
    uint8_t code = 0;
    IRODORI_RETURN_IF_ERROR(Read(code, what));
    if (code >= count) return Fail(Message(what, " below ", count), Message(code));
    value = static_cast<E>(code);
    return Status::Ok();
  }

  Status ReadShape(Shape& shape) {
    uint32_t rank = 0;
    IRODORI_RETURN_IF_ERROR(Count(rank, sizeof(int64_t), kMaxRank, "axes"));
    shape.resize(rank);
    for (int64_t& size : shape) {
      IRODORI_RETURN_IF_ERROR(Read(size, "size"));
      if (size < 1) return Fail("size of at least 1", Message(size));
    }
    if (!CheckedElements(shape))
      return Fail(Message("fewer than ", kMaxElements, " elements"), Message(std::span(shape)));
    return Status::Ok();
  }

  Status Header() {
    uint32_t magic = 0;
    uint32_t version = 0;
    IRODORI_RETURN_IF_ERROR(Read(magic, "magic"));
    if (magic != kProgramMagic) return Fail(Message("magic ", kProgramMagic), Message(magic));
    IRODORI_RETURN_IF_ERROR(Read(version, "version"));
    if (version != kProgramVersion)
      return Fail(Message("version ", kProgramVersion), Message(version));
    std::string name;
    IRODORI_RETURN_IF_ERROR(String(name, "name"));
    program_.name = std::move(name);
    return Read(program_.arena_bytes, "arena bytes");
  }

  Status Buffer(BufferSpec& buffer) {
    uint64_t a = 0;
    uint64_t b = 0;
    IRODORI_RETURN_IF_ERROR(String(buffer.name, "buffer name"));
    IRODORI_RETURN_IF_ERROR(Enum(buffer.dtype, kDTypes, "dtype"));
    IRODORI_RETURN_IF_ERROR(ReadShape(buffer.shape));
    IRODORI_RETURN_IF_ERROR(Read(buffer.pitch, "pitch"));
    IRODORI_RETURN_IF_ERROR(Enum(buffer.storage, 5, "storage kind"));
    IRODORI_RETURN_IF_ERROR(Read(a, "storage"));
    IRODORI_RETURN_IF_ERROR(Read(b, "storage"));
    const bool arena = buffer.storage == StorageKind::kArena;
    const bool view = buffer.storage == StorageKind::kView;
    if (!arena && a > INT32_MAX) return Fail("an index", Message(a));
    if (!view && b != 0) return Fail("0 as second storage field", Message(b));
    buffer.index = arena ? 0 : static_cast<uint32_t>(a);
    buffer.offset = arena ? a : b;
    return Status::Ok();
  }

  Status Param(ParamSpec& param) {
    IRODORI_RETURN_IF_ERROR(Enum(param.packing, kPackings, "packing"));
    IRODORI_RETURN_IF_ERROR(Enum(param.dtype, kDTypes, "dtype"));
    return ReadShape(param.shape);
  }

  Status PortEntry(Port& port) {
    IRODORI_RETURN_IF_ERROR(String(port.name, "port name"));
    IRODORI_RETURN_IF_ERROR(Read(port.buffer, "port buffer"));
    return BufferIndex(port.buffer, "port buffer");
  }

  Status BufferIndex(int64_t index, std::string_view what) const {
    if (index >= 0 && index < static_cast<int64_t>(program_.buffers.size())) return Status::Ok();
    return Fail(Message(what, " below ", program_.buffers.size()), Message(index));
  }

  Status Operand(int32_t& operand, std::string_view what) {
    IRODORI_RETURN_IF_ERROR(Read(operand, what));
    return operand == -1 ? Status::Ok() : BufferIndex(operand, what);
  }

  Status Number(double& value, std::string_view what) {
    IRODORI_RETURN_IF_ERROR(Read(value, what));
    return std::isfinite(value) ? Status::Ok() : Fail(Message("finite ", what), Message(value));
  }

  Status StepEntry(Step& step) {
    IRODORI_RETURN_IF_ERROR(Enum(step.kernel, kKernels.size(), "kernel"));
    const KernelForm& form = kKernels[static_cast<size_t>(step.kernel)];
    uint32_t count = 0;
    IRODORI_RETURN_IF_ERROR(Count(count, sizeof(int32_t), form.operands, "operands"));
    step.operands.assign(form.operands, -1);
    for (uint32_t i = 0; i < count; ++i) {
      IRODORI_RETURN_IF_ERROR(Operand(step.operands[i], "operand"));
    }
    for (uint32_t i = 0; i < form.required; ++i) {
      if (step.operands[i] < 0)
        return Fail(Message(KernelText(step.kernel), " with operand ", i), "none");
    }
    IRODORI_RETURN_IF_ERROR(Read(step.output, "output"));
    IRODORI_RETURN_IF_ERROR(BufferIndex(step.output, "output"));
    IRODORI_RETURN_IF_ERROR(Count(count, sizeof(double), UINT32_MAX, "attributes"));
    if (form.attrs >= 0 && count != static_cast<uint32_t>(form.attrs)) {
      return Fail(Message(form.attrs, " attributes of ", KernelText(step.kernel)), Message(count));
    }
    step.attrs.resize(count);
    for (double& attr : step.attrs) IRODORI_RETURN_IF_ERROR(Number(attr, "attribute"));
    IRODORI_RETURN_IF_ERROR(
        List("epilogue ops", kEpilogueBytes, UINT32_MAX, step.epilogue, &Decoder::EpilogueEntry));
    return String(step.at, "step path");
  }

  Status EpilogueEntry(EpilogueOp& op) {
    IRODORI_RETURN_IF_ERROR(Enum(op.op, kEpilogues.size(), "epilogue op"));
    IRODORI_RETURN_IF_ERROR(Operand(op.operand, "epilogue operand"));
    IRODORI_RETURN_IF_ERROR(Number(op.value, "epilogue value"));
    const EpilogueForm& form = kEpilogues[static_cast<size_t>(op.op)];
    if (form.operand != (op.operand >= 0)) {
      return Fail(
          Message(EpilogueText(op.op), form.operand ? " with an operand" : " without operand"),
          Message(op.operand));
    }
    if (!form.value && op.value != 0)
      return Fail(Message(EpilogueText(op.op), " with value 0"), Message(op.value));
    return Status::Ok();
  }

  ByteReader reader_;
  AbortFlag abort_;
  Program program_;
};

}  // namespace

int64_t DTypeBytes(DType dtype) {
  constexpr int64_t kBytes[] = {4, 2, 2, 4, 8, 1, 1, 1};
  static_assert(std::size(kBytes) == kDTypes);
  return kBytes[static_cast<size_t>(dtype)];
}

int64_t Elements(std::span<const int64_t> shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

std::string_view KernelText(Kernel kernel) { return kKernels[static_cast<size_t>(kernel)].text; }

bool WritesInPlace(Kernel kernel) { return kKernels[static_cast<size_t>(kernel)].in_place; }

std::string_view EpilogueText(Epilogue op) { return kEpilogues[static_cast<size_t>(op)].text; }

std::string_view DTypeText(DType dtype) {
  constexpr std::string_view kNames[] = {"f32", "f16", "bf16", "i32",
                                         "i64", "u8",  "i8",   "i8-sums16"};
  static_assert(std::size(kNames) == kDTypes);
  return kNames[static_cast<size_t>(dtype)];
}

std::string_view PackingText(Packing packing) {
  constexpr std::string_view kNames[] = {"plain", "gemm", "upsample"};
  static_assert(std::size(kNames) == kPackings);
  return kNames[static_cast<size_t>(packing)];
}

Result<Program> DecodeProgram(std::span<const std::byte> bytes, AbortFlag abort) {
  try {
    return Decoder(bytes, abort).Decode();
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory,
                  Message("program: expected memory to decode ", bytes.size(), " bytes, got none"));
  }
}

}  // namespace irodori
