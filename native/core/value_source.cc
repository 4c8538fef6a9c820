// Packs of values that are read whole: for devices that do no better.
#include "native/core/value_source.h"

#include <algorithm>
#include <new>

#include "native/core/backend.h"
#include "native/core/message.h"
#include "native/core/shape.h"
#include "native/core/usable_memory.h"

namespace irodori {

Result<std::shared_ptr<Pack>> Device::MakePackFrom(const ParamSpec& spec, const ValueSource& values,
                                                   AbortFlag abort) try {
  const int64_t size = Elements(values.shape());
  const int64_t most = UsableMemoryBytes() / static_cast<int64_t>(sizeof(float));
  if (size > most) {
    return Status(Code::kOutOfMemory,
                  Message("pack: expected at most ", most, " values, got ", size));
  }
  HostTensor tensor{values.shape(), {}};
  tensor.data.reserve(static_cast<size_t>(size));
  Scratch scratch;
  for (int64_t first = 0; first < size; first += kStretchValues) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    const int64_t count = std::min(kStretchValues, size - first);
    tensor.data.resize(static_cast<size_t>(first + count));
    const auto part = std::span(tensor.data).last(static_cast<size_t>(count));
    IRODORI_RETURN_IF_ERROR(values.Read(first, part, scratch, abort));
  }
  return MakePack(spec, tensor, abort);
} catch (const std::bad_alloc&) {
  return Status(Code::kOutOfMemory, "pack: expected memory for its values, got none");
}

}  // namespace irodori
