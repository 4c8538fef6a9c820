// Buffer table rules: arena ranges, pitches, views inside their base, ports and parameters by
// ordinal.
#include <algorithm>
#include <string>
#include <vector>

#include "native/core/message.h"
#include "native/core/shape.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

constexpr uint64_t kArenaAlignment = 64;
// 64 TiB: with it, no sum or product of offsets and row counts overflows.
constexpr uint64_t kMaxArenaBytes = uint64_t{1} << 46;

class BufferTable {
 public:
  explicit BufferTable(const Program& program) : program_(program) {}

  Status Verify() const {
    if (program_.arena_bytes > kMaxArenaBytes) {
      return {Code::kInvalidProgram,
              Message("program(", program_.name, "): expected at most ", kMaxArenaBytes,
                      " arena bytes, got ", program_.arena_bytes)};
    }
    IRODORI_RETURN_IF_ERROR(Params());
    IRODORI_RETURN_IF_ERROR(Ports("input", program_.inputs, StorageKind::kInput));
    IRODORI_RETURN_IF_ERROR(Ports("output", program_.outputs, StorageKind::kOutput));
    for (size_t i = 0; i < program_.buffers.size(); ++i) IRODORI_RETURN_IF_ERROR(Buffer(i));
    return Status::Ok();
  }

 private:
  Status Fail(size_t buffer, std::string_view expected, std::string_view got) const {
    return {Code::kInvalidProgram,
            Message("program(", program_.name, "): buffer ", buffer, " ",
                    Quoted(program_.buffers[buffer].name), ": expected ", expected, ", got ", got)};
  }

  Status Params() const {
    for (size_t i = 0; i < program_.params.size(); ++i) {
      const ParamSpec& param = program_.params[i];
      const bool plain = param.packing == Packing::kPlain;
      const bool real =
          IsFloat(param.dtype) || (param.packing == Packing::kGemm && IsInt8(param.dtype));
      if (real && (plain || param.shape.size() >= 2)) continue;
      return {Code::kInvalidProgram,
              Message("program(", program_.name, "): param ", i,
                      ": expected real numbers, and two axes or more for packed weights, got ",
                      DTypeText(param.dtype), " ", std::span<const int64_t>(param.shape))};
    }
    return Status::Ok();
  }

  Status Ports(std::string_view what, const std::vector<Port>& ports, StorageKind storage) const {
    std::vector<std::string_view> names;
    for (size_t i = 0; i < ports.size(); ++i) {
      const BufferSpec& buffer = program_.buffers[ports[i].buffer];
      if (buffer.storage != storage || buffer.index != i) {
        return Fail(ports[i].buffer,
                    Message("storage of ", what, " ", i, " (port ", Quoted(ports[i].name), ")"),
                    "another storage");
      }
      names.push_back(ports[i].name);
    }
    std::ranges::sort(names);
    const auto twice = std::ranges::adjacent_find(names);
    if (twice != names.end()) {
      return {Code::kInvalidProgram, Message("program(", program_.name, "): expected every ", what,
                                             " name once, got ", Quoted(*twice), " twice")};
    }
    return Status::Ok();
  }

  Status Buffer(size_t i) const {
    const BufferSpec& buffer = program_.buffers[i];
    if (buffer.storage != StorageKind::kView && buffer.pitch != buffer.columns()) {
      return Fail(i, Message("pitch ", buffer.columns()), Message(buffer.pitch));
    }
    if (IsInt8(buffer.dtype) && buffer.storage != StorageKind::kParam)
      return Fail(i, "i8 in a parameter", "it elsewhere");
    switch (buffer.storage) {
      case StorageKind::kArena:
        return Arena(i);
      case StorageKind::kInput:
        return OfPort(i, "input", program_.inputs);
      case StorageKind::kOutput:
        return OfPort(i, "output", program_.outputs);
      case StorageKind::kParam:
        return OfParam(i);
      case StorageKind::kView:
        return View(i);
    }
    return Fail(i, "a storage kind", "none");
  }

  Status Arena(size_t i) const {
    const BufferSpec& buffer = program_.buffers[i];
    const auto size = static_cast<uint64_t>(buffer.row_bytes());
    if (buffer.offset % kArenaAlignment != 0) {
      return Fail(i, Message("an offset divisible by ", kArenaAlignment), Message(buffer.offset));
    }
    if (buffer.offset > program_.arena_bytes || size > program_.arena_bytes - buffer.offset) {
      return Fail(i, Message("a range within ", program_.arena_bytes, " arena bytes"),
                  Message(size, " bytes at ", buffer.offset));
    }
    return Status::Ok();
  }

  Status OfPort(size_t i, std::string_view what, const std::vector<Port>& ports) const {
    const uint32_t index = program_.buffers[i].index;
    if (index < ports.size() && ports[index].buffer == i) return Status::Ok();
    return Fail(i, Message("the ordinal of the ", what, " whose port names it"), Message(index));
  }

  Status OfParam(size_t i) const {
    const BufferSpec& buffer = program_.buffers[i];
    if (buffer.index >= program_.params.size()) {
      return Fail(i, Message("a param below ", program_.params.size()), Message(buffer.index));
    }
    const ParamSpec& param = program_.params[buffer.index];
    const bool same_rows =
        param.packing == Packing::kPlain ||
        (buffer.shape.size() >= 2 && buffer.shape.front() == param.shape.front());
    if (buffer.dtype == param.dtype && Elements(buffer.shape) == Elements(param.shape) &&
        same_rows) {
      return Status::Ok();
    }
    return Fail(i,
                Message(DTypeText(param.dtype), " ", std::span<const int64_t>(param.shape),
                        " of param ", buffer.index),
                Message(DTypeText(buffer.dtype), " ", std::span<const int64_t>(buffer.shape)));
  }

  Status View(size_t i) const {
    const BufferSpec& view = program_.buffers[i];
    if (view.index >= program_.buffers.size()) {
      return Fail(i, Message("a base below ", program_.buffers.size()), Message(view.index));
    }
    const BufferSpec& base = program_.buffers[view.index];
    if (base.storage == StorageKind::kView)
      return Fail(i, "a base that is no view", Message("buffer ", view.index));
    if (base.storage == StorageKind::kParam &&
        (base.index >= program_.params.size() ||
         program_.params[base.index].packing != Packing::kPlain)) {
      return Fail(i, "a base with plain packing", Message("buffer ", view.index));
    }
    if (base.dtype != view.dtype)
      return Fail(i, Message(DTypeText(base.dtype), " as its base"), DTypeText(view.dtype));
    if (view.pitch < view.columns() || view.pitch >= kMaxElements) {
      return Fail(i, Message("a pitch from ", view.columns(), " on"), Message(view.pitch));
    }
    const auto element_bytes = static_cast<uint64_t>(DTypeBytes(view.dtype));
    if (view.offset % element_bytes != 0) {
      return Fail(i, Message("a byte offset divisible by ", element_bytes), Message(view.offset));
    }
    // offset + (vectors - 1) · pitch + columns <= elements of the base, in an order that cannot
    // overflow
    const int64_t elements = Elements(base.shape);
    const bool starts_inside = view.offset / element_bytes < static_cast<uint64_t>(elements);
    const int64_t room =
        starts_inside
            ? elements - static_cast<int64_t>(view.offset / element_bytes) - view.columns()
            : -1;
    if (room < 0 || view.vectors() - 1 > room / view.pitch) {
      return Fail(i, Message("a range within the ", elements, " elements of buffer ", view.index),
                  Message(view.vectors(), " vectors of ", view.columns(), ", pitch ", view.pitch,
                          ", from byte ", view.offset));
    }
    return Status::Ok();
  }

  const Program& program_;
};

}  // namespace

Status VerifyBuffers(const Program& program) { return BufferTable(program).Verify(); }

}  // namespace irodori
