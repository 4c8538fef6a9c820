// The register tile of products of int8: MR rows by NV vectors of outputs, for one kernel family
// and one unit.
//
//   c[i][v] (+)= sum over stretches, over k of the stretch: rows[i][k] panel_v[k]      exact, int32
//
// As in register_tile.h, with four terms of k in the 32 bits of a lane. A Unit has
//   kOffset            what is stored on x
//   kGroups            of four terms, that it takes at once where there are as many: 1 or 2
//   kTemporaries       registers beside sums and weights
//   Of(sum, x, w)      sum + the products of the four bytes of every lane
//   Of(sum, x, w, next_x, next_w)      those of two groups
#pragma once

#include "native/core/quantize.h"
#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

// Four multiplications of widened bytes: exact everywhere, quick nowhere.
struct WideUnit {
  static constexpr int kOffset = 0;
  static constexpr int kTemporaries = 3;
  static constexpr int kGroups = 1;
  IRODORI_INLINE I Of(I sum, I x, I w) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sum += ((I)((U)x << (24 - 8 * j)) >> 24) * ((I)((U)w << (24 - 8 * j)) >> 24);
    }
    return sum;
  }
};

// A stretch of k where the rows of a tile are contiguous; a multiple of four terms.
template <int Rows>
struct Int8Stretch {
  int64_t length;
  const std::byte* rows[Rows];
};

template <int Rows>
struct Int8TileArgs {
  const Int8Stretch<Rows>* stretches;
  int64_t count;
  const std::byte* panel;  // first panel at this k
  int64_t panel_stride;    // bytes between panels
  int32_t* c;
  int64_t c_pitch;
  bool resume;
};

template <int Rows>
using Int8TileKernel = void (*)(const Int8TileArgs<Rows>&);

IRODORI_INLINE I LoadI(const void* p) {
  I v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
IRODORI_INLINE I SplatFour(const std::byte* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return four - I{};
}

template <typename Unit, int Rows, int MR, int NV>
static inline void Int8Tile(const Int8TileArgs<Rows>& args) {
  I acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      acc[i][v] = args.resume ? LoadI(args.c + i * args.c_pitch + v * kLanes) : I{};
    }
  }
  const std::byte* panel = args.panel;
  for (int64_t s = 0; s < args.count; ++s) {
    const std::byte* rows[MR];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) rows[i] = args.stretches[s].rows[i];
    int64_t k = 0;
    if constexpr (Unit::kGroups == 2) {
      for (; k + kInt8Group < args.stretches[s].length; k += 2 * kInt8Group) {
        I w[2][NV];
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) {
          w[0][v] = LoadI(panel + v * args.panel_stride);
          w[1][v] = LoadI(panel + v * args.panel_stride + kInt8Group * kLanes);
        }
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) {
          const I x = SplatFour(rows[i] + k);
          const I next_x = SplatFour(rows[i] + k + kInt8Group);
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v) {
            acc[i][v] = Unit::Of(acc[i][v], x, w[0][v], next_x, w[1][v]);
          }
        }
        panel += 2 * kInt8Group * kLanes;
      }
    }
    for (; k < args.stretches[s].length; k += kInt8Group) {
      I w[NV];
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) w[v] = LoadI(panel + v * args.panel_stride);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const I x = SplatFour(rows[i] + k);
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) acc[i][v] = Unit::Of(acc[i][v], x, w[v]);
      }
      panel += kInt8Group * kLanes;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      __builtin_memcpy(args.c + i * args.c_pitch + v * kLanes, &acc[i][v], sizeof(I));
    }
  }
}

// Panels a tile of that many rows takes at once: as many as registers hold.
template <typename Unit>
constexpr int Int8VectorsFor(int rows) {
  constexpr int kRegisters = kLanes == 16 ? 32 : 16;
  for (int vectors = 4; vectors > 1; --vectors) {
    if (rows * vectors + vectors * Unit::kGroups + Unit::kTemporaries <= kRegisters) return vectors;
  }
  return 1;
}

// Tiles by height and width; heights from 1 on, widths those of some height, 2 and 1.
template <typename Unit, int Rows>
struct Int8TileTable {
  Int8TileKernel<Rows> tiles[Rows + 1][5] = {};

  template <int MR, int NV>
  constexpr void FillWidths() {
    tiles[MR][NV] = &Int8Tile<Unit, Rows, MR, NV>;
    if constexpr (NV > 1) FillWidths<MR, NV - 1>();
  }
  template <int MR>
  constexpr void Fill() {
    FillWidths<MR, Int8VectorsFor<Unit>(MR)>();
    if constexpr (MR > 1) Fill<MR - 1>();
  }
  constexpr Int8TileTable() { Fill<Rows>(); }
};

template <typename Unit, int Rows>
inline constexpr Int8TileTable<Unit, Rows> kInt8Tiles{};

}  // namespace irodori::cpu::IRODORI_FAMILY
