// Shapes from outside: element counts that cannot overflow.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace irodori {

// No tensor of any network comes near; products of sizes below it, and their bytes, fit in int64.
inline constexpr int64_t kMaxElements = int64_t{1} << 40;
inline constexpr uint32_t kMaxRank = 8;

// Number of elements; nothing when a size is negative or the product reaches kMaxElements.
inline std::optional<int64_t> CheckedElements(std::span<const int64_t> shape) {
  bool empty = false;
  int64_t product = 1;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      empty = true;
    } else if (product >= kMaxElements / size + (kMaxElements % size != 0)) {
      return std::nullopt;
    } else {
      product *= size;
    }
  }
  return empty ? 0 : product;
}

}  // namespace irodori
