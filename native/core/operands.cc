// Checks what a run is given and resolves where its values are.
#include "native/core/operands.h"

#include <cstring>

#include "native/core/host_memory.h"
#include "native/core/message.h"

namespace irodori {
namespace {

// Where a binding starts; CheckRunArgs has seen that it is one of the two.
std::byte* BindingData(const RowBinding& binding) {
  if (binding.host != nullptr) return binding.host;
  return static_cast<HostBuffer*>(binding.buffer)->data() + binding.offset;
}

Status CheckBinding(std::string_view place, const BufferSpec& spec, const RowBinding& binding) {
  const auto fail = [&](std::string_view expected, std::string_view got) {
    return Status(Code::kInvalidArgument, Message(place, ": expected ", expected, ", got ", got));
  };
  if (binding.size_bytes != spec.row_bytes()) {
    return fail(Message(spec.row_bytes(), " bytes"), Message(binding.size_bytes));
  }
  if ((binding.host == nullptr) == (binding.buffer == nullptr)) {
    return fail("host memory or a device buffer", binding.host == nullptr ? "neither" : "both");
  }
  if (binding.buffer != nullptr) {
    const auto* buffer = dynamic_cast<const HostBuffer*>(binding.buffer);
    if (buffer == nullptr) return fail("a buffer of this device", "one of another");
    if (binding.offset < 0 || binding.offset > buffer->size_bytes() ||
        binding.size_bytes > buffer->size_bytes() - binding.offset) {
      return fail(Message("a range within ", buffer->size_bytes(), " bytes"),
                  Message(binding.size_bytes, " bytes at ", binding.offset));
    }
  }
  const auto alignment = static_cast<uintptr_t>(DTypeBytes(spec.dtype));
  const uintptr_t address = reinterpret_cast<uintptr_t>(BindingData(binding));
  if (address % alignment != 0) {
    return fail(
        Message("memory aligned to ", static_cast<int64_t>(alignment), " bytes"),
        Message("an address ", static_cast<int64_t>(address % alignment), " bytes further"));
  }
  return Status::Ok();
}

Status CheckBindings(const Program& program, std::string_view what, const std::vector<Port>& ports,
                     std::span<const RowBinding> bindings, int64_t rows) {
  const auto want = static_cast<size_t>(rows) * ports.size();
  if (bindings.size() != want) {
    return {Code::kInvalidArgument, Message("run(", program.name, "): expected ", want, " ", what,
                                            " bindings, got ", bindings.size())};
  }
  for (size_t i = 0; i < bindings.size(); ++i) {
    const Port& port = ports[i / static_cast<size_t>(rows)];
    const std::string place = Message("run(", program.name, "): ", what, " ", Quoted(port.name),
                                      " of row ", i % static_cast<size_t>(rows));
    IRODORI_RETURN_IF_ERROR(CheckBinding(place, program.buffers[port.buffer], bindings[i]));
  }
  return Status::Ok();
}

int64_t ReadInteger(const OperandRow& row, int64_t i) {
  if (row.dtype == DType::kI64) {
    int64_t value;
    std::memcpy(&value, row.data + i * 8, sizeof value);
    return value;
  }
  int32_t value;
  std::memcpy(&value, row.data + i * 4, sizeof value);
  return value;
}

}  // namespace

Result<int64_t> RunArenaBytes(const Program& program, int64_t rows) {
  const auto per_row =
      static_cast<int64_t>(program.arena_bytes);  // < 2^47, kMaxRows = 2^16: no overflow
  if (rows < 1 || rows > kMaxRows) {
    return Status(Code::kInvalidArgument, Message("run(", program.name, "): expected 1 to ",
                                                  kMaxRows, " rows, got ", rows));
  }
  return per_row * rows;
}

Status CheckRunArgs(const Program& program, const RunArgs& args) {
  if (args.rows < 1 || args.rows > kMaxRows) {
    return {Code::kInvalidArgument,
            Message("run(", program.name, "): expected 1 to ", kMaxRows, " rows, got ", args.rows)};
  }
  if (!args.step_ns.empty() && args.step_ns.size() != program.steps.size()) {
    return {Code::kInvalidArgument,
            Message("run(", program.name, "): expected ", program.steps.size(),
                    " times of steps, got ", args.step_ns.size())};
  }
  IRODORI_RETURN_IF_ERROR(CheckBindings(program, "input", program.inputs, args.inputs, args.rows));
  return CheckBindings(program, "output", program.outputs, args.outputs, args.rows);
}

Operands::Operands(const Program& program, const RunArgs& args, std::byte* arena,
                   std::span<std::byte* const> params)
    : program_(&program), rows_(args.rows), places_(program.buffers.size()) {
  bindings_.reserve(args.inputs.size() + args.outputs.size());
  for (const RowBinding& binding : args.inputs) bindings_.push_back(BindingData(binding));
  for (const RowBinding& binding : args.outputs) bindings_.push_back(BindingData(binding));
  for (size_t i = 0; i < places_.size(); ++i) {
    const BufferSpec& spec = program.buffers[i];
    Place& place = places_[i];
    switch (spec.storage) {
      case StorageKind::kArena:
        place.base = arena + args.rows * static_cast<int64_t>(spec.offset);
        place.row_stride = spec.row_bytes();
        break;
      case StorageKind::kInput:
        place.binding = args.rows * spec.index;
        break;
      case StorageKind::kOutput:
        place.binding = args.rows * static_cast<int64_t>(spec.index + program.inputs.size());
        break;
      case StorageKind::kParam:
        place.base = params[spec.index];
        break;
      case StorageKind::kView:
        break;
    }
  }
  for (size_t i = 0; i < places_.size(); ++i) {
    const BufferSpec& spec = program.buffers[i];
    if (spec.storage != StorageKind::kView) continue;
    Place& place = places_[i];
    place = places_[spec.index];
    place.offset = static_cast<int64_t>(spec.offset);
    if (place.base != nullptr) place.base += spec.offset;
  }
}

EpilogueAddress AddressEpilogue(const OperandRow& operand, int64_t vectors, int64_t columns) {
  const int64_t elements = operand.elements();
  if (elements == vectors * columns) {
    const int64_t vector_step = operand.columns == columns ? operand.pitch : columns;
    return {operand.data, operand.dtype, vector_step, 1};
  }
  const int64_t column_step = elements == columns ? 1 : 0;
  return {operand.data, operand.dtype, 0, column_step};
}

Result<int64_t> ReadKvLength(const OperandRow& kv_length, int64_t keys, const std::string& at) {
  const int64_t length = ReadInteger(kv_length, 0);
  if (length >= 0 && length <= keys) return length;
  return Status(Code::kInvalidArgument, Message("attention(", at, "): expected kvLength from 0 to ",
                                                keys, ", got ", length));
}

Result<int64_t> ReadId(const OperandRow& ids, int64_t i, int64_t table_rows,
                       const std::string& at) {
  const int64_t id = ReadInteger(ids, i);
  if (id >= 0 && id < table_rows) return id;
  return Status(Code::kInvalidArgument, Message("embedding(", at, "): expected ids from 0 to ",
                                                table_rows - 1, ", got ", id, " at ", i));
}

}  // namespace irodori
