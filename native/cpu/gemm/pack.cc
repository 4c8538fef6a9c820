// Weights [N, K] into the panels the matrix product reads.
#include <algorithm>
#include <cstring>

#include "native/core/float_types.h"
#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {

int64_t GemmDepth(int64_t k, DType dtype, const GemmTile& tile) {
  return dtype == DType::kBF16 ? (k + tile.bf16_unit - 1) / tile.bf16_unit * tile.bf16_unit : k;
}

int64_t GemmPackBytes(int64_t n, int64_t k, DType dtype, const GemmTile& tile) {
  return (n + tile.lanes - 1) / tile.lanes * tile.lanes * GemmDepth(k, dtype, tile) *
         DTypeBytes(dtype);
}

Status PackGemm(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                std::byte* out, AbortFlag abort) {
  const int64_t lanes = tile.lanes;
  const int64_t depth = GemmDepth(k, dtype, tile);
  const int64_t panels = (n + lanes - 1) / lanes;
  const int64_t panel_bytes = depth * lanes * DTypeBytes(dtype);
  for (int64_t p = 0; p < panels; ++p) {
    const int64_t used = std::min<int64_t>(lanes, n - p * lanes);
    std::memset(out + p * panel_bytes, 0, static_cast<size_t>(panel_bytes));
    if (dtype == DType::kF32) {
      float* panel = reinterpret_cast<float*>(out) + p * depth * lanes;
      for (int64_t j = 0; j < used; ++j) {
        IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
        const float* row = weights + (p * lanes + j) * k;
        for (int64_t i = 0; i < k; ++i) panel[i * lanes + j] = row[i];
      }
    } else {
      uint16_t* panel = reinterpret_cast<uint16_t*>(out) + p * depth * lanes;
      for (int64_t j = 0; j < used; ++j) {
        IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
        const float* row = weights + (p * lanes + j) * k;
        for (int64_t i = 0; i < k; ++i) {
          if (dtype == DType::kBF16) {
            panel[(i / 2 * lanes + j) * 2 + i % 2] = BF16FromFloat(row[i]);
          } else {
            panel[i * lanes + j] = F16FromFloat(row[i]);
          }
        }
      }
    }
  }
  return Status::Ok();
}

}  // namespace irodori::cpu
