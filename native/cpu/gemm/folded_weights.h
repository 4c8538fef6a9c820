// Weights of a 3x3 convolution of a doubled picture, as four 2x2 convolutions of the picture
// itself.
//
// Of a picture whose pixels are doubled in both directions, padded by 1, the result's pixel (2 i +
// p, 2 j + q) sees the 2x2 pixels of x from (i - 1 + p, j - 1 + q) on; taps that see the same pixel
// are added up once. Along one axis: of p = 0 w0 | w1 + w2, of p = 1 w0 + w1 | w2. Zeros around x
// stand where the padding of the doubled picture was, so edges are exact.
//
// A pack has a plane for each parity (p, q), in this order, each with K = (2, 2, C); a panel holds
// its planes one after the other: [ceil(O / lanes)][4][depth of K][lanes].
#pragma once

#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {

inline constexpr int64_t kParities = 4;

// Terms of one parity, for 3x3 weights of `k` terms.
constexpr int64_t FoldedTerms(int64_t k) { return k / 9 * 4; }

// Values that PackFolded wants room for.
int64_t FoldedScratch(int64_t k, const GemmTile& tile);

// Writes weights [n, 3, 3, C], k = 9 C, into such panels; sums are rounded once, to `dtype`.
Status PackFolded(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                  float* scratch, std::byte* out, AbortFlag abort);

}  // namespace irodori::cpu
