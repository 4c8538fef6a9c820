// Folds and packs panel by panel.
#include "native/cpu/gemm/folded_weights.h"

#include <algorithm>

namespace irodori::cpu {
namespace {

// Taps [first, last] of an axis that see pixel `t` of the two that parity `p` sees.
struct Taps {
  int64_t first, last;
};
constexpr Taps TapsOf(int64_t p, int64_t t) {
  if (p == 0) return t == 0 ? Taps{0, 0} : Taps{1, 2};
  return t == 0 ? Taps{0, 1} : Taps{2, 2};
}

// One row of weights [3, 3, C] to [2, 2, C] of parity (p, q); of two or four values at most, added
// in float64, where no such sum is rounded but a few of very different size.
void FoldRow(const float* row, int64_t channels, int64_t p, int64_t q, float* out) {
  for (int64_t t = 0; t < 2; ++t) {
    for (int64_t u = 0; u < 2; ++u) {
      const Taps ys = TapsOf(p, t), xs = TapsOf(q, u);
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (int64_t y = ys.first; y <= ys.last; ++y) {
          for (int64_t x = xs.first; x <= xs.last; ++x) sum += row[(y * 3 + x) * channels + c];
        }
        *out++ = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace

int64_t FoldedScratch(int64_t k, const GemmTile& tile) { return FoldedTerms(k) * tile.lanes; }

Status PackFolded(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                  float* scratch, std::byte* out, AbortFlag abort) {
  const int64_t terms = FoldedTerms(k);
  const int64_t plane_bytes = GemmPackBytes(tile.lanes, terms, dtype, tile);
  for (int64_t first = 0; first < n; first += tile.lanes) {
    const int64_t used = std::min(tile.lanes, n - first);
    for (int64_t parity = 0; parity < kParities; ++parity) {
      for (int64_t row = 0; row < used; ++row) {
        FoldRow(weights + (first + row) * k, k / 9, parity / 2, parity % 2, scratch + row * terms);
      }
      IRODORI_RETURN_IF_ERROR(PackGemm(scratch, used, terms, dtype, tile, out, abort));
      out += plane_bytes;
    }
  }
  return Status::Ok();
}

}  // namespace irodori::cpu
