// Weights [N, K] into the panels the matrix product reads.
#include <algorithm>
#include <cstring>

#include "native/core/float_arrays.h"
#include "native/core/rounding.h"
#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {

int64_t GemmDepth(int64_t k, DType dtype, const GemmTile& tile) {
  const int64_t unit = dtype == DType::kBF16 ? tile.bf16_unit
                       : IsInt8(dtype)       ? 2 * tile.bf16_unit
                                             : 1;
  return RoundUp(k, unit);
}

int64_t GemmPackBytes(int64_t n, int64_t k, DType dtype, const GemmTile& tile) {
  return RoundUp(n, tile.lanes) * GemmDepth(k, dtype, tile) * DTypeBytes(dtype);
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

using Four = uint32_t __attribute__((vector_size(16), aligned(4), may_alias));

// Runs of up to four rows, `stride` apart, into neighbouring lanes. Of four rows four terms at a
// time are turned in registers, so that lines are written in vectors.
void PutRuns(int64_t rows, const void* run, int64_t stride, int64_t count, int64_t lanes,
             void* line) {
  const auto* row = static_cast<const uint32_t*>(run);
  auto* to = static_cast<uint32_t*>(line);
  int64_t i = 0;
  for (; rows == 4 && i + 4 <= count; i += 4) {
    const auto read = [&](int64_t j) {
      return *reinterpret_cast<const Four*>(row + j * stride + i);
    };
    const Four a = read(0), b = read(1), c = read(2), d = read(3);
    const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const Four ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Four cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const auto write = [&](int64_t term, Four values) {
      *reinterpret_cast<Four*>(to + (i + term) * lanes) = values;
    };
    write(0, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
    write(1, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
    write(2, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
    write(3, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
  }
  for (int64_t j = 0; j < rows; ++j) {
    PutRun(row + j * stride + i, count - i, lanes, to + i * lanes + j);
  }
}

}  // namespace

Status PackGemm(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                std::byte* out, AbortFlag abort) {
  const int64_t lanes = tile.lanes;
  const int64_t depth = GemmDepth(k, dtype, tile);
  const int64_t panels = CeilDiv(n, lanes);
  const int64_t panel_bytes = depth * lanes * DTypeBytes(dtype);
  uint16_t rounded[kRun];        // one run of one row
  uint32_t pairs[4 * kRun / 2];  // of four
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
      std::byte* lines_of_run = panel + from * lanes * DTypeBytes(dtype);
      for (int64_t j = 0; j < used; j += 4) {
        const int64_t together = std::min<int64_t>(4, used - j);
        const float* run = rows + j * k + from;
        if (dtype == DType::kF32) {
          PutRuns(together, run, k, count, lanes, lines_of_run + j * 4);
          continue;
        }
        for (int64_t i = 0; i < together; ++i) {
          const std::span<const float> values(run + i * k, static_cast<size_t>(count));
          if (dtype == DType::kBF16) {
            BF16PairsFromFloats(values, pairs + i * kRun / 2);
          } else {
            F16FromFloats(values, rounded);
            PutRun(rounded, count, lanes, reinterpret_cast<uint16_t*>(lines_of_run) + j + i);
          }
        }
        if (dtype == DType::kBF16) {
          PutRuns(together, pairs, kRun / 2, (count + 1) / 2, lanes, lines_of_run + j * 4);
        }
      }
    }
  }
  return Status::Ok();
}

}  // namespace irodori::cpu
