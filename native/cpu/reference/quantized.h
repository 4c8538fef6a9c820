// Quantisation as native/core/quantize.h defines it, one value after another.
#pragma once

#include <span>

#include "native/core/abort.h"
#include "native/cpu/reference/values.h"

namespace irodori::reference {

// A pack of weights [n, k] in i8: n scales in float32, and behind them the integers.
int64_t QuantizedBytes(int64_t n, int64_t k);
Status QuantizeWeights(std::span<const float> weights, int64_t n, int64_t sums, std::byte* out,
                       AbortFlag abort);

// scale[n] q[n, k] of such a pack, exact in float64.
Values LoadQuantized(const std::byte* pack, const Shape& shape);

// x with every element replaced by s (p - zero), one s and zero for each stretch of `length`
// elements.
Values Quantized(const Values& x, int64_t length, int64_t sums);

}  // namespace irodori::reference
