// Memory that nested calls of one thread lend each other: taken and given back in stack order, and
// kept for the next time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace irodori {

class Scratch {
 public:
  // Uninitialised values; given back when the loan ends, the last loan first.
  template <typename T>
  class Loan {
   public:
    Loan(Scratch& scratch, int64_t count)
        : scratch_(scratch), values_(static_cast<T*>(scratch.Take(Bytes(count))), Size(count)) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { --scratch_.lent_; }
    std::span<T> values() const { return values_; }

   private:
    static size_t Size(int64_t count) { return static_cast<size_t>(count); }
    static size_t Bytes(int64_t count) { return Size(count) * sizeof(T); }
    Scratch& scratch_;
    std::span<T> values_;
  };

 private:
  struct Block {
    std::unique_ptr<std::byte[]> data;
    size_t size = 0;
  };

  // Throws bad_alloc.
  void* Take(size_t bytes) {
    if (lent_ == blocks_.size()) blocks_.emplace_back();
    Block& block = blocks_[lent_];
    if (block.size < bytes) {
      block = {};
      block.data.reset(new std::byte[bytes]);
      block.size = bytes;
    }
    ++lent_;
    return block.data.get();
  }

  std::vector<Block> blocks_;
  size_t lent_ = 0;
};

}  // namespace irodori
