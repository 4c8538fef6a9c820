// The attention kernel of a family: queries in the lanes, keys one after another.
//
// A job owns one (row, head, block of queries). Queries are packed once, transposed and scaled:
// panels [L][K][lanes]. Per block of keys:
//   S'[key][query] = K Q'     register tiles, key rows read in place (widened when narrow)
//   p, m, l                   element-wise over vectors of queries: no horizontal reduction
//   anywhere O'[c][query] = O' exp(m_old - m_new) + V' p      outer-product tiles, value rows read
//   in place
// and O' / l is transposed on the way out. A query's bits depend on its own lane and on key_block
// only.
#pragma once

#include "native/cpu/finish.h"
#include "native/cpu/gemm/row_tiles.h"
#include "native/cpu/ops/attention.h"

namespace irodori::cpu::IRODORI_FAMILY {

struct OuterArgs {
  const float* v;  // [keys][pitch], from the tile's first column on
  int64_t v_pitch;
  int64_t keys;
  const float* p;  // [keys][p_pitch], from the tile's first query on
  int64_t p_pitch;
  const float* alpha;  // [queries], what the accumulator is scaled by first
  float* o;            // [columns][o_pitch]
  int64_t o_pitch;
};

// o[i][q] = o[i][q] alpha[q] + sum over keys, ascending: v[key][i] p[key][q]; MR columns by NV
// vectors of queries.
template <int MR, int NV>
static inline void OuterTile(const OuterArgs& args) {
  F acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int n = 0; n < NV; ++n) {
      acc[i][n] = Load(args.o + i * args.o_pitch + n * kLanes) * Load(args.alpha + n * kLanes);
    }
  }
  const float* v = args.v;
  const float* p = args.p;
  for (int64_t key = 0; key < args.keys; ++key, v += args.v_pitch, p += args.p_pitch) {
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
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 8
    for (int n = 0; n < NV; ++n) Store(args.o + i * args.o_pitch + n * kLanes, acc[i][n]);
  }
}

struct OuterTable {
  void (*two[kTileRows + 1])(const OuterArgs&) = {};
  void (*one[kTileRows + 1])(const OuterArgs&) = {};
  template <int MR>
  constexpr void Fill() {
    two[MR] = &OuterTile<MR, 2>;
    one[MR] = &OuterTile<MR, 1>;
    if constexpr (MR > 1) Fill<MR - 1>();
  }
  constexpr OuterTable() { Fill<kTileRows>(); }
};
inline constexpr OuterTable kOuterTiles{};

// Parts of a thread's scratch, in floats.
struct AttentionScratch {
  int64_t q, s, o, m, l, alpha, k, v, run, stretches, bytes;
};
IRODORI_INLINE AttentionScratch LayOutScratch(const AttentionArgs& args) {
  const int64_t lanes = RoundUp(args.query_block, kLanes);
  const int64_t block = MinOf(args.key_block, args.keys);
  const int64_t narrow = RoundUp(block * args.head_dim + kRunSlack, 16);
  AttentionScratch scratch;
  scratch.q = 0;
  scratch.s = scratch.q + RoundUp(args.head_dim * lanes, 16);
  scratch.o = scratch.s + RoundUp(block * lanes, 16);
  scratch.m = scratch.o + RoundUp(args.head_dim * lanes, 16);
  scratch.l = scratch.m + RoundUp(lanes, 16);
  scratch.alpha = scratch.l + RoundUp(lanes, 16);
  scratch.k = scratch.alpha + RoundUp(lanes, 16);
  scratch.v = scratch.k + (args.k.dtype == DType::kF32 ? 0 : narrow);
  scratch.run = scratch.v + (args.v.dtype == DType::kF32 ? 0 : narrow);
  scratch.stretches = scratch.run + RoundUp(args.head_dim + kRunSlack, 16);
  const int64_t tiles = (block + kTileRows - 1) / kTileRows;
  scratch.bytes = scratch.stretches * 4 + tiles * static_cast<int64_t>(sizeof(Stretch));
  return scratch;
}
static inline int64_t AttentionScratchBytes(const AttentionArgs& args) {
  return LayOutScratch(args).bytes;
}

// Rows [first, first + count) of a key or value head as float32: in place, or widened into `copy`.
struct HeadRows {
  const float* data;
  int64_t pitch;
};
static inline HeadRows ReadHead(const AttentionOperand& operand, int64_t row, int64_t head,
                                int64_t dim, int64_t first, int64_t count, float* copy) {
  const std::byte* base = RowAt(operand.rows, row);
  if (operand.dtype == DType::kF32) {
    const float* data = reinterpret_cast<const float*>(base);
    return {data + first * operand.pitch + head * dim, operand.pitch};
  }
  for (int64_t i = 0; i < count; ++i) {
    LoadRun(copy + i * dim, base, operand.dtype, (first + i) * operand.pitch + head * dim, dim);
  }
  return {copy, dim};
}

// Maximum, probabilities and sums of one block of keys; s becomes p.
static inline void SoftmaxOfBlock(const AttentionArgs& args, int64_t query0, int64_t lanes,
                                  int64_t key0, int64_t keys, float* s, float* m, float* l,
                                  float* alpha) {
  const bool masked = args.causal && key0 + keys - 1 > query0;
  for (int64_t q = 0; q < lanes; q += kLanes) {
    if (masked) {
      for (int64_t key = 0; key < keys; ++key) {
        float lane[kLanes];
        Store(lane, Load(s + key * lanes + q));
        for (int64_t i = 0; i < kLanes; ++i) {
          if (key0 + key > query0 + q + i) lane[i] = -__builtin_inff();
        }
        Store(s + key * lanes + q, Load(lane));
      }
    }
    const F old_max = Load(m + q);
    F largest = old_max;
    for (int64_t key = 0; key < keys; ++key) {
      const F value = Load(s + key * lanes + q);
      largest = largest < value ? value : largest;
    }
    const F scale = Exp(old_max - largest);
    F sum = Load(l + q) * scale;
    for (int64_t key = 0; key < keys; ++key) {
      const F p = Exp(Load(s + key * lanes + q) - largest);
      Store(s + key * lanes + q, p);
      sum = sum + p;
    }
    Store(m + q, largest);
    Store(l + q, sum);
    Store(alpha + q, scale);
  }
}

// s[key][query] = k_key . q_query
static inline void ScoreTiles(const AttentionArgs& args, const HeadRows& k, int64_t keys,
                              const float* q, int64_t lanes, Stretch* stretches, float* s) {
  const RowTiles split = SplitRows(keys);
  int64_t key = 0;
  for (int64_t t = 0; t < split.tiles; ++t) {
    stretches[t].length = args.head_dim;
    const int64_t height = HeightOf(split, t);
    for (int64_t i = 0; i < height; ++i, ++key) stretches[t].rows[i] = k.data + key * k.pitch;
  }
  TileGroup group{split, stretches, 1, s, lanes};
  TileArgs tile;
  tile.count = 1;
  tile.panel_stride = args.head_dim * kLanes;
  tile.c_pitch = lanes;
  tile.resume = false;
  const int64_t panels = lanes / kLanes;
  int64_t width = 0;
  for (int64_t p = 0; p < panels; p += width) {
    width = GroupWidth(split, panels - p);
    tile.panel = q + p * tile.panel_stride;
    TilesOfPanels<float>(group, tile, p, width);
  }
}

// o[c][query] = o alpha + sum over keys of v[key][c] p[key][query]
static inline void ValueTiles(const AttentionArgs& args, const HeadRows& v, int64_t keys,
                              const float* p, int64_t lanes, const float* alpha, float* o) {
  const RowTiles split = SplitRows(args.head_dim);
  OuterArgs outer;
  outer.v_pitch = v.pitch;
  outer.keys = keys;
  outer.p_pitch = lanes;
  outer.o_pitch = lanes;
  int64_t width = 0;
  for (int64_t q = 0; q < lanes; q += width * kLanes) {
    width = lanes - q >= 2 * kLanes ? 2 : 1;
    int64_t column = 0;
    for (int64_t t = 0; t < split.tiles; ++t) {
      const int64_t height = HeightOf(split, t);
      outer.v = v.data + column;
      outer.p = p + q;
      outer.alpha = alpha + q;
      outer.o = o + column * lanes + q;
      (width == 2 ? kOuterTiles.two : kOuterTiles.one)[height](outer);
      column += height;
    }
  }
}

static inline void AttentionBlock(const AttentionArgs& args, int64_t block, std::byte* scratch) {
  const int64_t query0 = block % args.query_blocks * args.query_block;
  const int64_t head = block / args.query_blocks % args.heads;
  const int64_t row = block / args.query_blocks / args.heads;
  const int64_t queries = MinOf(args.query_block, args.queries - query0);
  const int64_t lanes = RoundUp(queries, kLanes);
  const int64_t dim = args.head_dim;

  const AttentionScratch layout = LayOutScratch(args);
  float* floats = reinterpret_cast<float*>(scratch);
  float* q = floats + layout.q;
  float* s = floats + layout.s;
  float* o = floats + layout.o;
  float* m = floats + layout.m;
  float* l = floats + layout.l;
  float* alpha = floats + layout.alpha;
  float* run = floats + layout.run;
  Stretch* stretches = reinterpret_cast<Stretch*>(floats + layout.stretches);

  for (int64_t i = 0; i < dim * lanes; i += kLanes) {
    Store(q + i, F{});
    Store(o + i, F{});
  }
  for (int64_t i = 0; i < queries; ++i) {
    LoadRun(run, RowAt(args.q.rows, row), args.q.dtype, (query0 + i) * args.q.pitch + head * dim,
            dim);
    float* lane = q + i / kLanes * dim * kLanes + i % kLanes;
    for (int64_t c = 0; c < dim; ++c) lane[c * kLanes] = run[c] * args.scale;
  }
  for (int64_t i = 0; i < lanes; i += kLanes) {
    Store(m + i, Splat(-__builtin_inff()));
    Store(l + i, F{});
  }

  const int64_t length = args.kv_lengths != nullptr ? args.kv_lengths[row] : args.keys;
  const int64_t key_end = args.causal ? MinOf(length, query0 + queries) : length;
  for (int64_t key0 = 0; key0 < key_end; key0 += args.key_block) {
    // Whole blocks also at the diagonal: a query's bits must not depend on which queries share its
    // job.
    const int64_t keys = MinOf(args.key_block, length - key0);
    const HeadRows k = ReadHead(args.k, row, head, dim, key0, keys, floats + layout.k);
    const HeadRows v = ReadHead(args.v, row, head, dim, key0, keys, floats + layout.v);
    ScoreTiles(args, k, keys, q, lanes, stretches, s);
    SoftmaxOfBlock(args, query0, lanes, key0, keys, s, m, l, alpha);
    ValueTiles(args, v, keys, s, lanes, alpha, o);
  }
  for (int64_t i = 0; i < queries; ++i) {
    const float sum = l[i];
    for (int64_t c = 0; c < dim; ++c) run[c] = sum > 0 ? o[c * lanes + i] / sum : sum;
    FinishRun(args.finish, run, row, query0 + i, head * dim, dim);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
