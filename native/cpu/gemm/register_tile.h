// The register tile of the matrix product: MR rows that lie equally far apart by NV vectors of
// outputs, for one kernel family.
//
//   c[i][v] (+)= sum over k < depth of a[i a_pitch + k] · panel_v[k]
//
// Accumulators live in registers: MR · NV + NV + 1 of them. Rows and panels are each read from one
// pointer for three of them, so that pointers fit the general registers, too. Every output is one
// FMA chain in ascending k, whatever MR and NV are.
#pragma once

#include "native/cpu/gemm/row_tiles.h"

namespace irodori::cpu::IRODORI_FAMILY {

// Bytes that a tile fetches ahead for each term of k.
inline constexpr int64_t kAheadPerTerm = 32;

struct TileArgs {
  const float* a;
  int64_t a_pitch;
  int64_t depth;
  const void* panel;     // first panel at this k
  int64_t panel_stride;  // elements between panels
  // What is wanted next: kAheadPerTerm · depth bytes of it are fetched into the second cache.
  const std::byte* ahead;
  float* c;
  int64_t c_pitch;
  bool resume;  // continue the chains whose values are in c
};

using TileKernel = void (*)(const TileArgs&);

// The places base + i pitch, i < N <= 12. Members and no array, and an empty statement behind every
// step: otherwise GCC keeps pointers in memory, or makes one for each place.
template <int N>
class Places {
 public:
  __attribute__((always_inline)) Places(const void* base, int64_t pitch_bytes)
      : at0_(static_cast<const std::byte*>(base)),
        at3_(at0_ + 3 * pitch_bytes),
        at6_(at3_ + 3 * pitch_bytes),
        at9_(at6_ + 3 * pitch_bytes),
        pitch_(pitch_bytes) {}
  __attribute__((always_inline)) const std::byte* At(int i) const {
    const std::byte* third = i < 3 ? at0_ : i < 6 ? at3_ : i < 9 ? at6_ : at9_;
    return third + i % 3 * pitch_;
  }
  __attribute__((always_inline)) void Advance(int64_t bytes) {
    Step(at0_, bytes);
    if constexpr (N > 3) Step(at3_, bytes);
    if constexpr (N > 6) Step(at6_, bytes);
    if constexpr (N > 9) Step(at9_, bytes);
  }

 private:
  IRODORI_INLINE void Step(const std::byte*& at, int64_t bytes) {
    at += bytes;
    asm("" : "+r"(at));
  }

  const std::byte *at0_, *at3_, *at6_, *at9_;
  int64_t pitch_;
};

// The weights of term `k` behind a place in a panel, which is one of an even term.
IRODORI_INLINE F TermOf(const float* panel, int64_t k) { return Load(panel + k * kLanes); }
IRODORI_INLINE F TermOf(const F16* panel, int64_t k) { return Load(panel + k * kLanes); }
IRODORI_INLINE F TermOf(const Bf16* panel, int64_t k) {
  U pair;
  __builtin_memcpy(&pair, panel + k / 2 * 2 * kLanes, sizeof(pair));
  return (F)(k % 2 == 0 ? pair << 16 : pair & 0xffff0000u);
}

template <typename W, int NV>
IRODORI_INLINE void LoadTerm(F (&b)[NV], const Places<NV>& panels, int k) {
#pragma GCC unroll 8
  for (int v = 0; v < NV; ++v) b[v] = TermOf(reinterpret_cast<const W*>(panels.At(v)), k);
}

// acc += a b, in place: in a body of several terms GCC would move accumulators about.
IRODORI_INLINE void AddProduct(F& acc, F a, F b) {
#if IRODORI_LANES == 8
  asm("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
#else
  acc = Fma(a, b, acc);
#endif
}

// acc += the rows' values at term `k` times b.
template <int MR, int NV>
IRODORI_INLINE void AddTerm(F (&acc)[MR][NV], const Places<MR>& rows, int k, const F (&b)[NV]) {
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    float x;
    __builtin_memcpy(&x, rows.At(i) + k * 4, sizeof(x));
    const F a = Splat(x);
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) AddProduct(acc[i][v], a, b[v]);
  }
}

// All terms of float32 weights, those of the next term loaded before they are wanted: the second
// cache is slower than a term. With 12 x 2 vectors of AVX-512 92 % of the FMA peak, else 87
// (Cascade Lake, 2026-11-26).
template <int MR, int NV>
IRODORI_INLINE void AddTermsAhead(F (&acc)[MR][NV], Places<MR> rows, Places<NV> panels,
                                  int64_t depth, const std::byte* ahead) {
  F even[NV], odd[NV];
  LoadTerm<float>(even, panels, 0);
#pragma GCC unroll 1
  for (; depth > 2; depth -= 2) {
    __builtin_prefetch(ahead, 0, 2);
    ahead += 2 * kAheadPerTerm;
    LoadTerm<float>(odd, panels, 1);
    AddTerm(acc, rows, 0, even);
    panels.Advance(2 * kLanes * 4);
    rows.Advance(0);
    LoadTerm<float>(even, panels, 0);
    AddTerm(acc, rows, 1, odd);
    rows.Advance(2 * 4);
  }
  if (depth == 2) LoadTerm<float>(odd, panels, 1);
  AddTerm(acc, rows, 0, even);
  if (depth == 2) AddTerm(acc, rows, 1, odd);
}

// Four terms together where no registers are left for that, or weights must be widened: a processor
// that shares its front end with another thread starts three operations a cycle, and 6 x 2 vectors
// take 22 for 12 products, 26 term by term.
template <typename W, int MR, int NV>
IRODORI_INLINE void AddTerms(F (&acc)[MR][NV], Places<MR> rows, Places<NV> panels, int64_t depth,
                             const std::byte* ahead) {
  constexpr int kTogether = 4;
  F b[NV];
#pragma GCC unroll 1
  for (; depth >= kTogether; depth -= kTogether) {
#pragma GCC unroll 2
    for (int line = 0; line < kTogether * kAheadPerTerm; line += 64) {
      __builtin_prefetch(ahead + line, 0, 2);
    }
    ahead += kTogether * kAheadPerTerm;
#pragma GCC unroll 4
    for (int k = 0; k < kTogether; ++k) {
      LoadTerm<W>(b, panels, k);
      AddTerm(acc, rows, k, b);
    }
    panels.Advance(kTogether * kLanes * static_cast<int64_t>(sizeof(W)));
    rows.Advance(kTogether * 4);
  }
  for (int k = 0; k < depth; ++k) {
    LoadTerm<W>(b, panels, k % 2);
    AddTerm(acc, rows, 0, b);
    rows.Advance(4);
    if (k % 2 == 1) panels.Advance(2 * kLanes * static_cast<int64_t>(sizeof(W)));
  }
}

IRODORI_INLINE constexpr bool IsFloat(float) { return true; }
IRODORI_INLINE constexpr bool IsFloat(F16) { return false; }
IRODORI_INLINE constexpr bool IsFloat(Bf16) { return false; }

template <int MR, int NV>
IRODORI_INLINE void BeginChains(F (&acc)[MR][NV], const float* c, int64_t c_pitch, bool resume) {
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) acc[i][v] = resume ? Load(c + i * c_pitch + v * kLanes) : F{};
  }
}
template <int MR, int NV>
IRODORI_INLINE void ParkChains(const F (&acc)[MR][NV], float* c, int64_t c_pitch) {
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < NV; ++v) Store(c + i * c_pitch + v * kLanes, acc[i][v]);
  }
}

template <int MR, int NV, typename W>
static inline void RegisterTile(const TileArgs& args) {
  // Stores to c must not make the compiler read these again.
  float* const c = args.c;
  const int64_t c_pitch = args.c_pitch;
  F acc[MR][NV];
  BeginChains(acc, c, c_pitch, args.resume);
  const Places<MR> rows(args.a, args.a_pitch * 4);
  const Places<NV> panels(args.panel, args.panel_stride * static_cast<int64_t>(sizeof(W)));
  if constexpr (IsFloat(W{}) && MR * NV + 2 * NV + 1 <= kRegisters) {
    AddTermsAhead(acc, rows, panels, args.depth, args.ahead);
  } else {
    AddTerms<W>(acc, rows, panels, args.depth, args.ahead);
  }
  ParkChains(acc, c, c_pitch);
}

// What a tile makes of panels before it multiplies by them: their sums with others or differences,
// or themselves in float32.
enum class Making { kSum, kDifference, kWidened };

// Over panels that are made on the way, of `panel` and `second`, both panel_stride apart, and left
// in `made` for the tiles behind it, [NV][depth][kLanes]. A product over 128 rows whose sums are
// made before its tiles takes 4 % longer (docs/performance.md). Nothing is fetched ahead.
struct MakingTileArgs : TileArgs {
  const void* second;
  float* made;
};

using MakingTileKernel = void (*)(const MakingTileArgs&);

template <int MR, int NV, typename W, Making kMaking>
static inline void MakingTile(const MakingTileArgs& args) {
  constexpr int64_t kTwoTerms = 2 * kLanes * static_cast<int64_t>(sizeof(W));
  float* const c = args.c;
  const int64_t c_pitch = args.c_pitch;
  const int64_t depth = args.depth;
  float* made = args.made;
  F acc[MR][NV];
  BeginChains(acc, c, c_pitch, args.resume);
  Places<MR> rows(args.a, args.a_pitch * 4);
  Places<NV> first(args.panel, args.panel_stride * static_cast<int64_t>(sizeof(W)));
  Places<NV> second(args.second, args.panel_stride * static_cast<int64_t>(sizeof(W)));
  const auto term = [&](int k) __attribute__((always_inline)) {
    F b[NV];
    LoadTerm<W>(b, first, k);
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) {
      if constexpr (kMaking != Making::kWidened) {
        const F other = TermOf(reinterpret_cast<const W*>(second.At(v)), k);
        b[v] = kMaking == Making::kDifference ? b[v] - other : b[v] + other;
      }
      Store(made + v * depth * kLanes + k * kLanes, b[v]);
    }
    AddTerm(acc, rows, k, b);
  };
  int64_t left = depth;
#pragma GCC unroll 1
  for (; left >= 2; left -= 2) {
    term(0);
    term(1);
    made += 2 * kLanes;
    first.Advance(kTwoTerms);
    if constexpr (kMaking != Making::kWidened) second.Advance(kTwoTerms);
    rows.Advance(2 * 4);
  }
  if (left == 1) term(0);
  ParkChains(acc, c, c_pitch);
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

// Tiles that make what they multiply by: of every height, one and two panels wide.
template <typename W, Making kMaking>
struct MakingTileTable {
  MakingTileKernel tiles[kTileRows + 1][3] = {};

  template <int MR>
  constexpr void Fill() {
    tiles[MR][1] = &MakingTile<MR, 1, W, kMaking>;
    tiles[MR][2] = &MakingTile<MR, 2, W, kMaking>;
    if constexpr (MR > 1) Fill<MR - 1>();
  }
  constexpr MakingTileTable() { Fill<kTileRows>(); }
};

template <typename W, Making kMaking>
inline constexpr MakingTileTable<W, kMaking> kMakingTiles{};

}  // namespace irodori::cpu::IRODORI_FAMILY
