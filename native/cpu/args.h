// Plain structs every CPU kernel is called with: where rows of operands are, and how a result is
// finished and stored.
#pragma once

#include <cstddef>
#include <cstdint>

#include "native/core/program.h"

namespace irodori::cpu {

// Row r of an operand begins at `table[r] + offset` when there is a table, else at `base + r stride
// + offset` (bytes). Parameters have stride 0; request state and the caller's memory have a table.
struct RowSource {
  std::byte* base = nullptr;
  int64_t stride = 0;
  std::byte* const* table = nullptr;
  int64_t offset = 0;
};

// Static and always inlined, so that no family's code for it can be linked into another family.
static inline __attribute__((always_inline)) std::byte* RowAt(const RowSource& source,
                                                              int64_t row) {
  return (source.table != nullptr ? source.table[row] : source.base + row * source.stride) +
         source.offset;
}

// What an epilogue operand is read as, for the element (m, n) of an [M, N] result.
enum class Reach : uint8_t {
  kNone,     // the op has no operand
  kScalar,   // one value
  kChannel,  // [N]
  kFull,     // [M, N], vectors `pitch` apart
};

struct EpilogueStep {
  Epilogue op;
  Reach reach = Reach::kNone;
  DType dtype = DType::kF32;
  float value = 0;
  RowSource operand;
  int64_t pitch = 0;  // elements
};

// out[m, n] = steps(v[m, n]), in float32, rounded to `dtype` once at the end.
struct Finish {
  const EpilogueStep* steps = nullptr;
  int64_t count = 0;
  RowSource out;
  DType dtype = DType::kF32;
  int64_t pitch = 0;  // elements between vectors of out
};

}  // namespace irodori::cpu
