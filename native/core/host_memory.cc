// Aligned host memory and the Buffer made of it.
#include "native/core/host_memory.h"

#include <cstring>
#include <utility>

#include "native/core/message.h"

namespace irodori {
namespace {

// A mistaken size should be refused rather than left to overcommit.
constexpr int64_t kMaxBytes = int64_t{1} << 46;

}  // namespace

HostMemory::HostMemory(int64_t size_bytes) : size_bytes_(size_bytes) {
  if (size_bytes < 0 || size_bytes > kMaxBytes) return;
  const int64_t rounded =
      (size_bytes + kHostAlignment) / kHostAlignment * kHostAlignment;  // never 0
  data_.reset(
      static_cast<std::byte*>(std::aligned_alloc(kHostAlignment, static_cast<size_t>(rounded))));
}

Result<std::shared_ptr<Buffer>> HostBuffer::Allocate(int64_t size_bytes) {
  HostMemory memory(size_bytes);
  if (memory.data() == nullptr) {
    return Status(Code::kOutOfMemory,
                  Message("buffer: expected memory for ", size_bytes, " bytes, got none"));
  }
  std::memset(memory.data(), 0, static_cast<size_t>(size_bytes));
  return std::shared_ptr<Buffer>(new HostBuffer(std::move(memory)));
}

}  // namespace irodori
