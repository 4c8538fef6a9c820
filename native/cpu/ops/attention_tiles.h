// The three phases of attention over a strip of queries and a block of keys, for one kernel family.
//
// A strip is NV vectors of queries, interleaved: q [K][NV · lanes], s [keys][NV · lanes],
// o [K][NV · lanes]. With a block of 64 keys that is 38 KiB for heads of 40 on AVX-512, half on
// AVX2.
#pragma once

#include "native/cpu/gemm/row_tiles.h"
#include "native/cpu/simd_math.h"

namespace irodori::cpu::IRODORI_FAMILY {

inline constexpr int kStripVectors = 2;

// Rows of a key or value head, `pitch` apart.
struct HeadRows {
  const float* data;
  int64_t pitch;
};

struct ScoreArgs {
  HeadRows k;  // from the tile's first key on
  int64_t dim;
  const float* q;
  float* s;        // from the tile's first key on
  float* largest;  // [queries], of the keys so far
};

// The largest of acc[First] to acc[First + Count - 1], as a tree.
template <int First, int Count, int MR, int NV>
IRODORI_INLINE F LargestOf(const F (&acc)[MR][NV], int n) {
  if constexpr (Count == 1) {
    return acc[First][n];
  } else {
    return Larger(LargestOf<First, Count / 2>(acc, n),
                  LargestOf<First + Count / 2, Count - Count / 2>(acc, n));
  }
}

// s[i][query] = k_i . q_query, one chain in ascending k, and the largest of them; MR keys by NV
// vectors of queries. Every third row has a pointer: the two behind it are reached through the
// pitch as an index, so that pointers of all rows fit the registers.
template <int MR, int NV>
static inline void ScoreTile(const ScoreArgs& args) {
  constexpr int kPointers = (MR + 2) / 3;
  const float* rows[kPointers];
#pragma GCC unroll 16
  for (int i = 0; i < kPointers; ++i) rows[i] = args.k.data + 3 * i * args.k.pitch;
  F acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int n = 0; n < NV; ++n) acc[i][n] = F{};
  }
  const int64_t pitch = args.k.pitch;
  const float* q = args.q;
  const int64_t dim = args.dim;
#pragma GCC unroll 2
  for (int64_t k = 0; k < dim; ++k) {
    F b[NV];
#pragma GCC unroll 8
    for (int n = 0; n < NV; ++n) b[n] = Load(q + n * kLanes);
    q += NV * kLanes;
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const F a = Splat(rows[i / 3][i % 3 * pitch]);
#pragma GCC unroll 8
      for (int n = 0; n < NV; ++n) acc[i][n] = Fma(a, b[n], acc[i][n]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kPointers; ++i) ++rows[i];
  }
  float* const s = args.s;
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int n = 0; n < NV; ++n) Store(s + (i * NV + n) * kLanes, acc[i][n]);
  }
  float* const largest = args.largest;
#pragma GCC unroll 8
  for (int n = 0; n < NV; ++n) {
    Store(largest + n * kLanes, Larger(LargestOf<0, MR>(acc, n), Load(largest + n * kLanes)));
  }
}

struct ValueArgs {
  HeadRows v;  // from the tile's first column on
  int64_t keys;
  const float* p;
  const float* alpha;  // [queries], what the accumulator is scaled by first
  float* o;            // from the tile's first column on
};

// o[i][query] = o[i][query] alpha[query] + sum over keys, ascending: v[key][i] p[key][query]; MR
// columns by NV vectors of queries.
template <int MR, int NV>
static inline void ValueTile(const ValueArgs& args) {
  F acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int n = 0; n < NV; ++n) {
      acc[i][n] = Load(args.o + (i * NV + n) * kLanes) * Load(args.alpha + n * kLanes);
    }
  }
  const int64_t pitch = args.v.pitch;
  const int64_t keys = args.keys;
  const float* v = args.v.data;
  const float* p = args.p;
#pragma GCC unroll 2
  for (int64_t key = 0; key < keys; ++key, p += NV * kLanes, v += pitch) {
    F b[NV];
#pragma GCC unroll 8
    for (int n = 0; n < NV; ++n) b[n] = Load(p + n * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const F a = Splat(v[i]);
#pragma GCC unroll 8
      for (int n = 0; n < NV; ++n) acc[i][n] = Fma(a, b[n], acc[i][n]);
    }
  }
  float* const o = args.o;
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int n = 0; n < NV; ++n) Store(o + (i * NV + n) * kLanes, acc[i][n]);
  }
}

// Tiles of every height.
template <int NV>
struct AttentionTiles {
  void (*score[kTileRows + 1])(const ScoreArgs&) = {};
  void (*value[kTileRows + 1])(const ValueArgs&) = {};
  template <int MR>
  constexpr void Fill() {
    score[MR] = &ScoreTile<MR, NV>;
    value[MR] = &ValueTile<MR, NV>;
    if constexpr (MR > 1) Fill<MR - 1>();
  }
  constexpr AttentionTiles() { Fill<kTileRows>(); }
};
template <int NV>
inline constexpr AttentionTiles<NV> kAttentionTiles{};

// What a strip carries over the blocks of keys, and its scores of the current one.
struct Strip {
  float* q;        // [K][queries], scaled
  float* o;        // [K][queries]
  float* m;        // [queries], largest score
  float* l;        // [queries], sum of p
  float* s;        // [keys][queries]
  float* largest;  // [queries]
  float* alpha;    // [queries]
};

// s[key][query] = k_key . q_query, and the largest so far.
template <int NV>
static inline void ScoresOf(const Strip& strip, const HeadRows& k, int64_t keys, int64_t dim) {
#pragma GCC unroll 8
  for (int n = 0; n < NV; ++n) Store(strip.largest + n * kLanes, Load(strip.m + n * kLanes));
  const RowTiles split = SplitRows(keys);
  ScoreArgs tile{k, dim, strip.q, strip.s, strip.largest};
  for (int64_t t = 0; t < split.tiles; ++t) {
    const int64_t height = HeightOf(split, t);
    kAttentionTiles<NV>.score[height](tile);
    tile.k.data += height * k.pitch;
    tile.s += height * NV * kLanes;
  }
}

// Takes keys behind a query (key0 + key > query0 + query) out of its scores.
template <int NV>
static inline void MaskScores(const Strip& strip, int64_t keys, int64_t key0, int64_t query0) {
  F largest[NV];
  for (int n = 0; n < NV; ++n) largest[n] = Load(strip.m + n * kLanes);
  for (int64_t key = 0; key < keys; ++key) {
    float* s = strip.s + key * NV * kLanes;
    for (int64_t i = 0; i < MinOf(NV * kLanes, key0 + key - query0); ++i) s[i] = -__builtin_inff();
    for (int n = 0; n < NV; ++n) largest[n] = Larger(Load(s + n * kLanes), largest[n]);
  }
  for (int n = 0; n < NV; ++n) Store(strip.largest + n * kLanes, largest[n]);
}

// m becomes `largest`, s becomes p = 2^(s - m), l their sum; alpha = 2^(m before - m).
// KEYS keys of it: s becomes p, added to l key after key.
template <int NV, int KEYS>
IRODORI_INLINE void Probabilities(float* s, const F (&m)[NV], F (&l)[NV]) {
  F p[KEYS * NV];
#pragma GCC unroll 8
  for (int i = 0; i < KEYS * NV; ++i) p[i] = Load(s + i * kLanes) - m[i % NV];
  Exp2(p);
#pragma GCC unroll 8
  for (int i = 0; i < KEYS * NV; ++i) {
    Store(s + i * kLanes, p[i]);
    l[i % NV] = l[i % NV] + p[i];
  }
}

template <int NV>
static inline void SoftmaxOf(const Strip& strip, int64_t keys) {
  F m[NV], l[NV], alpha[NV];
#pragma GCC unroll 8
  for (int n = 0; n < NV; ++n) {
    m[n] = Load(strip.largest + n * kLanes);
    alpha[n] = Load(strip.m + n * kLanes) - m[n];
    Store(strip.m + n * kLanes, m[n]);
  }
  Exp2(alpha);
#pragma GCC unroll 8
  for (int n = 0; n < NV; ++n) {
    l[n] = Load(strip.l + n * kLanes) * alpha[n];
    Store(strip.alpha + n * kLanes, alpha[n]);
  }
  constexpr int kKeys = kLanes / (2 * NV);
  float* s = strip.s;
  int64_t key = 0;
  for (; key + kKeys <= keys; key += kKeys, s += kKeys * NV * kLanes) {
    Probabilities<NV, kKeys>(s, m, l);
  }
  for (; key < keys; ++key, s += NV * kLanes) Probabilities<NV, 1>(s, m, l);
#pragma GCC unroll 8
  for (int n = 0; n < NV; ++n) Store(strip.l + n * kLanes, l[n]);
}

// o[c][query] = o alpha + sum over keys of v[key][c] p[key][query]
template <int NV>
static inline void ValuesOf(const Strip& strip, const HeadRows& v, int64_t keys, int64_t dim) {
  const RowTiles split = SplitRows(dim);
  ValueArgs tile{v, keys, strip.s, strip.alpha, strip.o};
  for (int64_t t = 0; t < split.tiles; ++t) {
    const int64_t height = HeightOf(split, t);
    kAttentionTiles<NV>.value[height](tile);
    tile.v.data += height;
    tile.o += height * NV * kLanes;
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
