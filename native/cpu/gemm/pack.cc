// Weights [N, K] into the panels the matrix product reads.
#include <algorithm>
#include <cstring>

#include "native/core/float_arrays.h"
#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {

int64_t GemmDepth(int64_t k, DType dtype, const GemmTile& tile) {
  return dtype == DType::kBF16 ? (k + tile.bf16_unit - 1) / tile.bf16_unit * tile.bf16_unit : k;
}

int64_t GemmPackBytes(int64_t n, int64_t k, DType dtype, const GemmTile& tile) {
  return (n + tile.lanes - 1) / tile.lanes * tile.lanes * GemmDepth(k, dtype, tile) *
         DTypeBytes(dtype);
}

namespace {

// Terms of k that are laid down at a time: their lines of a panel stay in the first cache while
// every row is put into them.
constexpr int64_t kRun = 64;

// A run of one row into its lane of as many lines.
template <typename T>
void PutRun(const T* row, int64_t count, int64_t lanes, T* line) {
  for (int64_t i = 0; i < count; ++i) line[i * lanes] = row[i];
}

}  // namespace

Status PackGemm(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                std::byte* out, AbortFlag abort) {
  const int64_t lanes = tile.lanes;
  const int64_t depth = GemmDepth(k, dtype, tile);
  const int64_t panels = (n + lanes - 1) / lanes;
  const int64_t panel_bytes = depth * lanes * DTypeBytes(dtype);
  uint16_t rounded[kRun];  // one run of one row
  uint32_t pairs[kRun / 2];
  for (int64_t p = 0; p < panels; ++p) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    const int64_t used = std::min<int64_t>(lanes, n - p * lanes);
    const float* rows = weights + p * lanes * k;
    std::byte* panel = out + p * panel_bytes;
    // What no row or term fills is zero.
    const int64_t lines = dtype == DType::kBF16 ? (k + 1) / 2 * 2 : k;
    const int64_t filled = used < lanes ? 0 : panel_bytes / depth * lines;
    std::memset(panel + filled, 0, static_cast<size_t>(panel_bytes - filled));
    for (int64_t from = 0; from < k; from += kRun) {
      const int64_t count = std::min(kRun, k - from);
      for (int64_t j = 0; j < used; ++j) {
        const std::span<const float> values(rows + j * k + from, static_cast<size_t>(count));
        if (dtype == DType::kF32) {
          PutRun(values.data(), count, lanes, reinterpret_cast<float*>(panel) + from * lanes + j);
        } else if (dtype == DType::kF16) {
          F16FromFloats(values, rounded);
          PutRun(rounded, count, lanes, reinterpret_cast<uint16_t*>(panel) + from * lanes + j);
        } else {
          BF16PairsFromFloats(values, pairs);
          PutRun(pairs, (count + 1) / 2, lanes,
                 reinterpret_cast<uint32_t*>(panel) + from / 2 * lanes + j);
        }
      }
    }
  }
  return Status::Ok();
}

}  // namespace irodori::cpu
