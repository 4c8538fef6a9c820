// Weights [N, K] quantised into the panels that products of int8 read.
#include <algorithm>
#include <cstring>
#include <vector>

#include "native/cpu/gemm/int8.h"

namespace irodori::cpu {
namespace {

// One row's integers into its lane of a panel; returns their sum.
int32_t PutRow(const std::vector<int8_t>& row, int64_t lanes, int8_t* lane) {
  int32_t sum = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    lane[i / kInt8Group * static_cast<size_t>(lanes) * kInt8Group + i % kInt8Group] = row[i];
    sum += row[i];
  }
  return sum;
}

}  // namespace

Status PackInt8(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                std::byte* out, float* scales, int32_t* sums, AbortFlag abort) {
  const int64_t lanes = tile.lanes;
  const int64_t panel_bytes = GemmDepth(k, dtype, tile) * lanes;
  std::vector<int8_t> integers;
  for (int64_t p = 0; p * lanes < n; ++p, out += panel_bytes) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    std::memset(out, 0, static_cast<size_t>(panel_bytes));
    for (int64_t j = 0; j < lanes; ++j, ++scales, ++sums) {
      *scales = 0;
      *sums = 0;
      if (p * lanes + j >= n) continue;
      const float* row = weights + (p * lanes + j) * k;
      *scales = QuantizeWeights({row, static_cast<size_t>(k)}, Int8SumsOf(dtype), integers);
      *sums = PutRow(integers, lanes, reinterpret_cast<int8_t*>(out) + j * kInt8Group);
    }
  }
  return Status::Ok();
}

}  // namespace irodori::cpu
