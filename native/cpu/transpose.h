// Square blocks turned in registers, for one kernel family.
#pragma once

#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

template <int Count, int... Lane>
struct LanesBelow : LanesBelow<Count - 1, Count - 1, Lane...> {};
template <int... Lane>
struct LanesBelow<0, Lane...> {
  // Of every 2 x 2 blocks of S lanes by S rows, a of the upper rows and b of the lower ones, swaps
  // the two off the diagonal.
  template <int S>
  IRODORI_INLINE void Swap(F& a, F& b) {
    const F upper = __builtin_shufflevector(a, b, ((Lane & S) == 0 ? Lane : kLanes + Lane - S)...);
    const F lower = __builtin_shufflevector(a, b, ((Lane & S) == 0 ? Lane + S : kLanes + Lane)...);
    a = upper;
    b = lower;
  }
};

// rows[i][j] becomes rows[j][i], in log2(lanes) rounds of a shuffle per row.
template <int S = 1>
IRODORI_INLINE void Transpose(F (&rows)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if ((i & S) == 0) LanesBelow<kLanes>::template Swap<S>(rows[i], rows[i + S]);
  }
  if constexpr (2 * S < kLanes) Transpose<2 * S>(rows);
}

}  // namespace irodori::cpu::IRODORI_FAMILY
