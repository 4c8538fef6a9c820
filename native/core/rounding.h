// Whole numbers of parts: of blocks, lanes, lines and pages. Sizes are not negative.
#pragma once

#include <cstdint>

namespace irodori {

// Always inlined, so that no kernel family's code for them can be linked into another.
#define IRODORI_ROUNDING static inline __attribute__((always_inline)) constexpr int64_t

IRODORI_ROUNDING CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
IRODORI_ROUNDING RoundUp(int64_t a, int64_t multiple) { return CeilDiv(a, multiple) * multiple; }

// The size of equal parts of `total`, each at most `limit` before it is made a multiple of `unit`.
IRODORI_ROUNDING EvenParts(int64_t total, int64_t limit, int64_t unit) {
  if (total <= 0) return unit;
  return RoundUp(CeilDiv(total, CeilDiv(total, limit)), unit);
}

#undef IRODORI_ROUNDING

}  // namespace irodori
