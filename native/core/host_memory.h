// Host memory of backends whose device is the host: aligned blocks, and the Buffer made of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "native/core/backend.h"

namespace irodori {

// A cache line, and the widest vector.
inline constexpr int64_t kHostAlignment = 64;

// A block of memory aligned to kHostAlignment. Empty when it could not be had, or is more than the
// process may use.
class HostMemory {
 public:
  HostMemory() = default;
  // Uninitialised. Never throws: ask data() whether there is memory.
  explicit HostMemory(int64_t size_bytes);
  // Zeros; however many, in the time of a system call. Never throws.
  static HostMemory Zeros(int64_t size_bytes);

  // Uninitialised, in large pages where the system gives them (large_pages.h): for what kernels
  // read and write all the time. Never throws.
  static HostMemory InLargePages(int64_t size_bytes);

  std::byte* data() const { return data_.get(); }
  int64_t size_bytes() const { return data_ ? size_bytes_ : 0; }

 private:
  struct Free {
    Free() : bytes(0) {}
    Free(size_t bytes, std::shared_ptr<void> region) : bytes(bytes), region(std::move(region)) {}
    size_t bytes;                  // 0: from the heap
    std::shared_ptr<void> region;  // null: mapped by itself
    void operator()(std::byte* data) const;
  };
  HostMemory(std::byte* data, size_t bytes, std::shared_ptr<void> region)
      : data_(data, Free{bytes, std::move(region)}), size_bytes_(static_cast<int64_t>(bytes)) {}
  std::unique_ptr<std::byte, Free> data_;
  int64_t size_bytes_ = 0;
};

// kOutOfMemory of a HostMemory that came back empty: `place` begins the message.
Status NoHostMemory(std::string_view place, int64_t size_bytes);

// What host backends return from Device::Allocate: zeroed, so that nobody reads what someone else
// left there.
class HostBuffer final : public Buffer {
 public:
  static Result<std::shared_ptr<Buffer>> Allocate(int64_t size_bytes);
  int64_t size_bytes() const override { return memory_.size_bytes(); }
  std::byte* data() const { return memory_.data(); }

 private:
  explicit HostBuffer(HostMemory memory) : memory_(std::move(memory)) {}
  HostMemory memory_;
};

}  // namespace irodori
