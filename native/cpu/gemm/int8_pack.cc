// Weights [N, K] quantised into the panels that products of int8 read.
#include <algorithm>
#include <cstring>

#include "native/cpu/gemm/int8.h"

namespace irodori::cpu {
namespace {

// One row into its lane of a panel; returns the sum of its integers.
int32_t PutRow(const float* row, int64_t k, float to_int8, int64_t lanes, int8_t* lane) {
  int32_t sum = 0;
  for (int64_t i = 0; i < k; ++i) {
    const auto q = static_cast<int8_t>(Int8Nearest(row[i] * to_int8));
    lane[i / kInt8Group * lanes * kInt8Group + i % kInt8Group] = q;
    sum += q;
  }
  return sum;
}

}  // namespace

Status PackInt8(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                std::byte* out, float* scales, int32_t* sums, AbortFlag abort) {
  const int64_t lanes = tile.lanes;
  const int64_t panel_bytes = GemmDepth(k, dtype, tile) * lanes;
  for (int64_t p = 0; p * lanes < n; ++p, out += panel_bytes) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    std::memset(out, 0, static_cast<size_t>(panel_bytes));
    for (int64_t j = 0; j < lanes; ++j, ++scales, ++sums) {
      *scales = 0;
      *sums = 0;
      if (p * lanes + j >= n) continue;
      const float* row = weights + (p * lanes + j) * k;
      const Int8Scale scale = Int8ScaleOfWeights(row, k, Int8SumsOf(dtype));
      *scales = scale.scale;
      if (scale.to_int8 == 0) continue;
      *sums = PutRow(row, k, scale.to_int8, lanes, reinterpret_cast<int8_t*>(out) + j * kInt8Group);
    }
  }
  return Status::Ok();
}

}  // namespace irodori::cpu
