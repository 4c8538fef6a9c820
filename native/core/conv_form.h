// How a convolution may be computed: attributes of a conv2d step, and the packing its weights take.
//
// upsample 2: the convolution, 3x3 of stride 1 and padded by 1, reads x with every pixel doubled in
// both directions. The pixels (2 i + p, 2 j + q) of its result are, for each parity (p, q), a 2x2
// convolution of x itself with sums of the nine weights: 4/9 of the multiplications.
// tile m: Winograd's F(m x m, r x r) for 3x3 of stride 1, of r = 3, or r = 2 on the parities of an
// upsampled x; 0: a sum over all taps.
#pragma once

#include "native/core/program.h"

namespace irodori {

struct ConvForm {
  int64_t upsample = 1;
  int64_t tile = 0;
};

constexpr bool IsConvForm(const ConvForm& form) {
  if (form.upsample == 2) return form.tile == 0 || form.tile == 2;
  return form.upsample == 1 && (form.tile == 0 || form.tile == 2 || form.tile == 4);
}

// Winograd's weights are made of the plain ones as they are used.
constexpr Packing PackingOf(const ConvForm& form) {
  return form.upsample == 2 && form.tile == 0 ? Packing::kUpsample : Packing::kGemm;
}

}  // namespace irodori
