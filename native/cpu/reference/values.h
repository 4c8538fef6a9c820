// Operands of the reference backend: a row's elements widened to float64, dense, in row-major
// order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "native/core/abort.h"
#include "native/core/operands.h"
#include "native/core/program.h"

namespace irodori::reference {

struct Values {
  Shape shape;
  std::vector<double> data;

  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  int64_t vectors() const { return static_cast<int64_t>(data.size()) / columns(); }
};

// Every element as float64: exact for real types, u8 and i32, and for i64 below 2^53 (they hold ids
// and lengths).
Values Load(const OperandRow& row, const Shape& shape);

// Rounds every element once, to nearest even, to the row's type. Integer types truncate and
// saturate.
void Store(const Values& values, const OperandRow& row);

// How a parameter in the host's float32 becomes the elements of a pack; the rounding of Store.
Status Round(std::span<const float> values, DType dtype, std::byte* out, AbortFlag abort);

}  // namespace irodori::reference
