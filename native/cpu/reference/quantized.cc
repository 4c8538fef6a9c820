// Scales by stretches of values, integers by rounding, and back to real numbers.
#include "native/cpu/reference/quantized.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "native/core/quantize.h"

namespace irodori::reference {
namespace {

// The nearest integer of a value times to_int8; 0 where an infinity or a NaN is among the values:
// to_int8 is 0 then, and 0 times it no number.
int32_t IntegerOf(float value, const Int8Scale& scale) {
  return scale.to_int8 == 0 ? 0 : static_cast<int32_t>(std::nearbyintf(value * scale.to_int8));
}

}  // namespace

int64_t QuantizedBytes(int64_t n, int64_t k) {
  return n * (static_cast<int64_t>(sizeof(float)) + k);
}

Status QuantizeWeights(std::span<const float> weights, int64_t n, int64_t sums, std::byte* out,
                       AbortFlag abort) {
  const size_t k = n == 0 ? 0 : weights.size() / static_cast<size_t>(n);
  auto* scales = reinterpret_cast<float*>(out);
  auto* integers = reinterpret_cast<int8_t*>(scales + n);
  std::vector<int8_t> q;
  for (int64_t row = 0; row < n; ++row) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    const std::span<const float> values = weights.subspan(static_cast<size_t>(row) * k, k);
    scales[row] = irodori::QuantizeWeights(values, sums, q);
    integers = std::copy_n(q.begin(), k, integers);
  }
  return Status::Ok();
}

Values LoadQuantized(const std::byte* pack, const Shape& shape) {
  const int64_t elements = Elements(shape);
  const int64_t n = shape[0];
  const auto* scales = reinterpret_cast<const float*>(pack);
  const auto* integers = reinterpret_cast<const int8_t*>(scales + n);
  Values values{shape, {}};
  values.data.reserve(static_cast<size_t>(elements));
  for (int64_t i = 0; i < elements; ++i) {
    values.data.push_back(static_cast<double>(scales[i / (elements / n)]) * integers[i]);
  }
  return values;
}

Values Quantized(const Values& x, int64_t length, int64_t sums) {
  Values quantized = x;
  const auto stretch = static_cast<size_t>(length);
  const int32_t most = Int8Steps(sums) / 2;
  for (size_t first = 0; first < x.data.size(); first += stretch) {
    float low = 0;
    float high = 0;
    bool finite = true;
    for (size_t i = first; i < first + stretch; ++i) {
      const auto value = static_cast<float>(x.data[i]);
      finite = finite && std::isfinite(value);
      low = std::min(low, value);
      high = std::max(high, value);
    }
    const Int8Scale scale = Int8ScaleOfRange(finite ? low : 0, finite ? high : INFINITY, sums);
    for (size_t i = first; i < first + stretch; ++i) {
      const int32_t p = IntegerOf(static_cast<float>(x.data[i]), scale) + scale.zero;
      quantized.data[i] =
          static_cast<double>(scale.scale) * (std::clamp(p, -most, most) - scale.zero);
    }
  }
  return quantized;
}

}  // namespace irodori::reference
