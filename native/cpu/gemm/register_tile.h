// The register tile: MR rows by NV vectors of outputs, accumulated over stretches of k, for one
// kernel family.
//
//   c[i][v] (+)= sum over stretches, over k of the stretch: rows[i][k] · panel_v[k]
//
// Accumulators live in registers: MR · NV + NV + 1 of them. Rows are read by address (a broadcast
// per row and k), panels are NV streams of `kLanes` outputs. Every output is one FMA chain in
// ascending k, whatever MR and NV are.
#pragma once

#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

inline constexpr int kTileRows = IRODORI_TILE_ROWS;

// A stretch of k where the rows of a tile are contiguous.
struct Stretch {
  int64_t length;
  const float* rows[kTileRows];
};

struct TileArgs {
  const Stretch* stretches;
  int64_t count;
  const void* panel;     // first panel at this k
  int64_t panel_stride;  // elements between panels
  float* c;
  int64_t c_pitch;
  bool resume;  // continue the chains whose values are in c
};

using TileKernel = void (*)(const TileArgs&);

template <int MR, int NV>
IRODORI_INLINE void Accumulate(F (&acc)[MR][NV], const float* const (&rows)[MR], int64_t k,
                               const F (&b)[NV]) {
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    const F a = Splat(rows[i][k]);
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[i][v] = Fma(a, b[v], acc[i][v]);
  }
}

// One stretch; returns the panel position behind it.
template <int MR, int NV>
IRODORI_INLINE const float* Stride(F (&acc)[MR][NV], const float* const (&rows)[MR], int64_t length,
                                   const float* panel, int64_t panel_stride) {
#pragma GCC unroll 4
  for (int64_t k = 0; k < length; ++k) {
    F b[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) b[v] = Load(panel + v * panel_stride);
    Accumulate<MR, NV>(acc, rows, k, b);
    panel += kLanes;
  }
  return panel;
}

template <int MR, int NV>
IRODORI_INLINE const F16* Stride(F (&acc)[MR][NV], const float* const (&rows)[MR], int64_t length,
                                 const F16* panel, int64_t panel_stride) {
  for (int64_t k = 0; k < length; ++k) {
    F b[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) b[v] = Load(panel + v * panel_stride);
    Accumulate<MR, NV>(acc, rows, k, b);
    panel += kLanes;
  }
  return panel;
}

// bf16 lies in pairs of k: the even one in the low half of each 32 bits. Stretches begin at even k.
template <int MR, int NV>
IRODORI_INLINE const Bf16* Stride(F (&acc)[MR][NV], const float* const (&rows)[MR], int64_t length,
                                  const Bf16* panel, int64_t panel_stride) {
  int64_t k = 0;
  for (; k + 2 <= length; k += 2) {
    F even[NV], odd[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      U pair;
      __builtin_memcpy(&pair, panel + v * panel_stride, sizeof(pair));
      even[v] = (F)(pair << 16);
      odd[v] = (F)(pair & 0xffff0000u);
    }
    Accumulate<MR, NV>(acc, rows, k, even);
    Accumulate<MR, NV>(acc, rows, k + 1, odd);
    panel += 2 * kLanes;
  }
  if (k < length) {
    F even[NV];
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      U pair;
      __builtin_memcpy(&pair, panel + v * panel_stride, sizeof(pair));
      even[v] = (F)(pair << 16);
    }
    Accumulate<MR, NV>(acc, rows, k, even);
    panel += 2 * kLanes;
  }
  return panel;
}

template <int MR, int NV, typename W>
static inline void RegisterTile(const TileArgs& args) {
  F acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) {
      acc[i][v] = args.resume ? Load(args.c + i * args.c_pitch + v * kLanes) : F{};
    }
  }
  const W* panel = static_cast<const W*>(args.panel);
  for (int64_t s = 0; s < args.count; ++s) {
    const float* rows[MR];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) rows[i] = args.stretches[s].rows[i];
    panel = Stride<MR, NV>(acc, rows, args.stretches[s].length, panel, args.panel_stride);
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) Store(args.c + i * args.c_pitch + v * kLanes, acc[i][v]);
  }
}

// Panels a tile of MR rows takes at once: as many as leave room for their own vectors and one
// broadcast, so that there are enough independent chains to cover the latency of FMA (two pipes of
// 4 or 5 cycles).
constexpr int VectorsFor(int rows) {
  constexpr int kRegisters = kLanes == 16 ? 32 : 16;
  if (rows == 1) return 8;
  for (int vectors = 8; vectors > 1; --vectors) {
    if (rows * vectors + vectors + 1 <= kRegisters) return vectors;
  }
  return 1;
}

// Tiles of every height. A block's tiles are `height` or `height - 1` rows high and
// VectorsFor(height) panels wide, at the right edge 2 or 1.
template <typename W>
struct TileTable {
  TileKernel wide[kTileRows + 1] = {};       // VectorsFor(height)
  TileKernel wide_next[kTileRows + 1] = {};  // VectorsFor(height + 1)
  TileKernel two[kTileRows + 1] = {};
  TileKernel one[kTileRows + 1] = {};

  template <int MR>
  constexpr void Fill() {
    wide[MR] = &RegisterTile<MR, VectorsFor(MR), W>;
    wide_next[MR] = &RegisterTile<MR, VectorsFor(MR < kTileRows ? MR + 1 : MR), W>;
    two[MR] = &RegisterTile<MR, 2, W>;
    one[MR] = &RegisterTile<MR, 1, W>;
    if constexpr (MR > 1) Fill<MR - 1>();
  }
  constexpr TileTable() { Fill<kTileRows>(); }
};

template <typename W>
inline constexpr TileTable<W> kTiles{};

}  // namespace irodori::cpu::IRODORI_FAMILY
