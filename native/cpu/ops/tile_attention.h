// Attention in bf16 for families with a tile unit: both products through matrix tiles, the softmax
// between them in float32.
//
// Keys and values are made into tiles once for all queries of a head (a job of their own): of 32
// keys first two tiles of keys for each 32 terms of the head, [16 keys][32 terms], then a tile of
// values for each 16 columns, turned: [16 columns][32 keys]. What lies beyond the keys or the head
// is zero. A job then takes queries of a head, 32 at a time, turned into pairs [16 pairs][16
// queries][2], so that in every result lanes are queries:
//   S[key][query] = K Q'       float32, stored and scaled
//   p, m, l                    element-wise; p leaves as pairs of keys in bf16
//   O[c][query] = O 2^(m_old - m_new) + V' p
// A product of d = 40 needs 7 tile products for 16 queries by 32 keys, about 112 cycles, and 32
// vectors of softmax, about 9 cycles each: the tiles wait for the exponentials.
#pragma once

#include "native/cpu/gemm/tile_unit.h"
#include "native/cpu/ops/attention_online.h"

namespace irodori::cpu::IRODORI_FAMILY {
namespace {

constexpr int64_t kTile = 16;   // rows of a tile, and queries of half a strip
constexpr int64_t kTerms = 32;  // of bf16 in a row of a tile
constexpr int64_t kTileBytes = 1024;
constexpr int64_t kStrip = 2 * kTile;

struct HeadTiles {
  int64_t chunks, columns;  // tiles a head is wide: as keys, as values
  int64_t key_chunks;       // 32 keys each
  int64_t chunk_bytes;      // of 32 keys
};
HeadTiles TilesOf(const AttentionArgs& args) {
  HeadTiles tiles;
  tiles.chunks = CeilDiv(args.head_dim, kTerms);
  tiles.columns = CeilDiv(args.head_dim, kTile);
  tiles.key_chunks = CeilDiv(args.keys, kTerms);
  tiles.chunk_bytes = (2 * tiles.chunks + tiles.columns) * kTileBytes;
  return tiles;
}

int64_t LengthOf(const AttentionArgs& args, int64_t row) {
  return args.kv_lengths != nullptr ? args.kv_lengths[row] : args.keys;
}

std::byte* ChunkAt(const AttentionArgs& args, const HeadTiles& tiles, int64_t row, int64_t head,
                   int64_t chunk) {
  return args.tiles + ((row * args.heads + head) * tiles.key_chunks + chunk) * tiles.chunk_bytes;
}

// `count` rows of one head as [32][width] of 16 bits, zeros behind and below.
void CopyRows(const AttentionOperand& operand, int64_t row, int64_t head, int64_t dim,
              int64_t first, int64_t count, int64_t width, std::byte* out) {
  const std::byte* from =
      RowAt(operand.rows, row) + (first * operand.pitch + head * operand.head_step) * 2;
  __builtin_memset(out, 0, static_cast<size_t>(kTerms * width * 2));
  for (int64_t i = 0; i < count; ++i) {
    __builtin_memcpy(out + i * width * 2, from + i * operand.pitch * 2,
                     static_cast<size_t>(dim * 2));
  }
}

F Words(const std::byte* p) {
  F words;
  __builtin_memcpy(&words, p, sizeof(words));
  return words;
}
H Halves(const std::byte* p) {
  H halves;
  __builtin_memcpy(&halves, p, sizeof(halves));
  return halves;
}

// Two rows of 16 values as pairs, the first in the lower half.
F Pairs(H first, H second) { return (F)(Widened(first) | (Widened(second) << 16)); }

// The same of probabilities, which are no more than about 1 and never negative: rounded to the
// nearest, halves up.
F RoundedPairs(F first, F second) {
  return (F)((((U)first + 0x8000u) >> 16) | (((U)second + 0x8000u) & 0xffff0000u));
}

// Sixteen rows of sixteen words, `pitch` bytes apart, turned into a tile.
void TurnWords(const std::byte* rows, int64_t pitch, std::byte* tile) {
  F words[kTile];
#pragma GCC unroll 16
  for (int i = 0; i < kTile; ++i) words[i] = Words(rows + i * pitch);
  Transpose(words);
#pragma GCC unroll 16
  for (int i = 0; i < kTile; ++i) __builtin_memcpy(tile + i * 64, &words[i], 64);
}

// Part of a job for 32 queries; all rows of s and o are kStrip floats.
struct TileStrip {
  const std::byte* q;  // tiles [2][chunks]
  float* o;            // [16 columns' tiles][kStrip]
  float* m;            // [kStrip], in powers of two
  float* l;
  float* s;      // [keys][kStrip]
  std::byte* p;  // tiles [key chunks of the block][2]
};

// s of 32 keys.
void ScoreTiles(TileUnit& unit, const TileStrip& strip, const std::byte* keys, int64_t chunks,
                float* s) {
  unit.Zero<0>();
  unit.Zero<1>();
  unit.Zero<2>();
  unit.Zero<3>();
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    unit.Load<6>(strip.q + chunk * kTileBytes, 64);
    unit.Load<4>(keys + chunk * kTileBytes, 64);
    unit.DotProductBf16<0, 4, 6>();
    unit.Load<7>(strip.q + (chunks + chunk) * kTileBytes, 64);
    unit.DotProductBf16<1, 4, 7>();
    unit.Load<5>(keys + (chunks + chunk) * kTileBytes, 64);
    unit.DotProductBf16<2, 5, 6>();
    unit.DotProductBf16<3, 5, 7>();
  }
  constexpr int64_t kStride = kStrip * 4;
  unit.Store<0>(s, kStride);
  unit.Store<1>(s + kTile, kStride);
  unit.Store<2>(s + kTile * kStrip, kStride);
  unit.Store<3>(s + kTile * kStrip + kTile, kStride);
}

// o of CT tiles of columns += values p, over `key_chunks` times 32 keys.
template <int CT>
void ValueTiles(TileUnit& unit, const std::byte* values, int64_t chunk_bytes, int64_t key_chunks,
                const std::byte* p, float* o) {
  constexpr int64_t kStride = kStrip * 4;
  unit.Load<0>(o, kStride);
  unit.Load<1>(o + kTile, kStride);
  if constexpr (CT == 2) {
    unit.Load<2>(o + kTile * kStrip, kStride);
    unit.Load<3>(o + kTile * kStrip + kTile, kStride);
  }
  for (int64_t chunk = 0; chunk < key_chunks; ++chunk) {
    const std::byte* a = values + chunk * chunk_bytes;
    unit.Load<6>(p + 2 * chunk * kTileBytes, 64);
    unit.Load<4>(a, 64);
    unit.DotProductBf16<0, 4, 6>();
    unit.Load<7>(p + (2 * chunk + 1) * kTileBytes, 64);
    unit.DotProductBf16<1, 4, 7>();
    if constexpr (CT == 2) {
      unit.Load<5>(a + kTileBytes, 64);
      unit.DotProductBf16<2, 5, 6>();
      unit.DotProductBf16<3, 5, 7>();
    }
  }
  unit.Store<0>(o, kStride);
  unit.Store<1>(o + kTile, kStride);
  if constexpr (CT == 2) {
    unit.Store<2>(o + kTile * kStrip, kStride);
    unit.Store<3>(o + kTile * kStrip + kTile, kStride);
  }
}

// The largest of each query's scores s [keys][kStrip], scaled, `largest` included; fills s up to
// `padded` keys. Returns what s is left to be multiplied by, above 0: other scales, and what a
// query may not see, are worked into s before.
F FindLargest(const AttentionArgs& args, float* s, int64_t keys, int64_t padded, int64_t key0,
              int64_t query0, F (&largest)[2]) {
  F scale = Splat(args.scale);
  if (args.causal || !(args.scale > 0)) {
    for (int64_t key = 0; key < keys; ++key) {
      float* line = s + key * kStrip;
      for (int n = 0; n < 2; ++n) Store(line + n * kLanes, Load(line + n * kLanes) * scale);
      if (!args.causal) continue;
      for (int64_t i = 0; i < MinOf(kStrip, key0 + key - query0); ++i) line[i] = -__builtin_inff();
    }
    scale = Splat(1.0f);
  }
  const F nothing = Splat(-__builtin_inff());
  F most[4] = {nothing, nothing, nothing, nothing};
  int64_t key = 0;
#pragma GCC unroll 4
  for (; key + 2 <= keys; key += 2) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) most[i] = Larger(Load(s + key * kStrip + i * kLanes), most[i]);
  }
  for (int n = 0; key < keys && n < 2; ++n)
    most[n] = Larger(Load(s + key * kStrip + n * kLanes), most[n]);
  for (int n = 0; n < 2; ++n) largest[n] = Larger(Larger(most[n], most[n + 2]) * scale, largest[n]);
  for (int64_t i = keys * kStrip; i < padded * kStrip; i += kLanes) Store(s + i, nothing);
  return scale;
}

// s times `scale` becomes p in pairs of keys, added to l; l and o are brought to the new maximum
// first.
void Probabilities(const TileStrip& strip, F scale, int64_t padded, int64_t o_rows,
                   const F (&largest)[2]) {
  F alpha[2], l[2];
  for (int n = 0; n < 2; ++n) {
    alpha[n] = Load(strip.m + n * kLanes) - largest[n];
    Store(strip.m + n * kLanes, largest[n]);
  }
  Exp2(alpha);
  bool same = true;
  for (int n = 0; n < 2; ++n) {
    l[n] = Load(strip.l + n * kLanes) * alpha[n];
    for (int i = 0; i < kLanes; ++i) same = same && alpha[n][i] == 1.0f;
  }
  if (!same) {
    for (int64_t i = 0; i < o_rows * kStrip; i += kStrip) {
      for (int n = 0; n < 2; ++n) {
        float* o = strip.o + i + n * kLanes;
        Store(o, Load(o) * alpha[n]);
      }
    }
  }
  const float* s = strip.s;
  std::byte* tiles = strip.p;
  for (int64_t key = 0; key < padded; key += kTerms, tiles += 2 * kTileBytes) {
#pragma GCC unroll 2
    for (int64_t pair = 0; pair < kTile; ++pair, s += 2 * kStrip) {
      F p[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) p[i] = Fma(Load(s + i * kLanes), scale, -largest[i % 2]);
      Exp2ForBf16(p);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) l[i % 2] = l[i % 2] + p[i];
#pragma GCC unroll 2
      for (int n = 0; n < 2; ++n) {
        const F words = RoundedPairs(p[n], p[2 + n]);
        __builtin_memcpy(tiles + n * kTileBytes + pair * 64, &words, 64);
      }
    }
  }
  for (int n = 0; n < 2; ++n) Store(strip.l + n * kLanes, l[n]);
}

// Parts of a thread's scratch, in bytes.
struct TileAttentionScratch {
  int64_t q, o, m, l, s, p, rows, run, bytes;
};
TileAttentionScratch LayOutTileScratch(const AttentionArgs& args) {
  const HeadTiles tiles = TilesOf(args);
  const int64_t strips = CeilDiv(args.query_block, kStrip);
  const int64_t block = RoundUp(args.key_block, kTerms);
  TileAttentionScratch scratch;
  scratch.q = 0;
  scratch.o = scratch.q + strips * 2 * tiles.chunks * kTileBytes;
  scratch.m = scratch.o + strips * tiles.columns * kTile * kStrip * 4;
  scratch.l = scratch.m + strips * kStrip * 4;
  scratch.s = scratch.l + strips * kStrip * 4;
  scratch.p = scratch.s + block * kStrip * 4;
  scratch.rows = scratch.p + block / kTerms * 2 * kTileBytes;
  scratch.run = scratch.rows + kTerms * tiles.chunks * 64;
  scratch.bytes = scratch.run + (tiles.columns * kTile * kLanes + kRunSlack) * 4;
  return scratch;
}

}  // namespace

int64_t TileAttentionBytes(const AttentionArgs& args) {
  const HeadTiles tiles = TilesOf(args);
  return args.batch * args.heads * tiles.key_chunks * tiles.chunk_bytes;
}

int64_t TileAttentionScratchSize(const AttentionArgs& args) {
  return LayOutTileScratch(args).bytes;
}

// Block: 32 keys of (row, head), keys fastest.
void TileAttentionPack(const AttentionArgs& args, int64_t block, std::byte* scratch) {
  const HeadTiles tiles = TilesOf(args);
  const int64_t chunk = block % tiles.key_chunks;
  const int64_t head = block / tiles.key_chunks % args.heads;
  const int64_t row = block / tiles.key_chunks / args.heads;
  const int64_t first = chunk * kTerms;
  const int64_t count = MaxOf(0, MinOf(kTerms, LengthOf(args, row) - first));
  const int64_t width = tiles.chunks * kTerms;
  std::byte* rows = scratch + LayOutTileScratch(args).rows;
  std::byte* out = ChunkAt(args, tiles, row, head, chunk);
  CopyRows(args.k, row, head, args.head_dim, first, count, width, rows);
  for (int64_t half = 0; half < 2; ++half) {
    for (int64_t c = 0; c < tiles.chunks; ++c, out += kTileBytes) {
      for (int64_t i = 0; i < kTile; ++i) {
        __builtin_memcpy(out + i * 64, rows + (half * kTile + i) * width * 2 + c * 64, 64);
      }
    }
  }
  CopyRows(args.v, row, head, args.head_dim, first, count, width, rows);
  for (int64_t c = 0; c < tiles.columns; ++c, out += kTileBytes) {
    F words[kTile];
#pragma GCC unroll 16
    for (int i = 0; i < kTile; ++i) {
      const std::byte* pair = rows + 2 * i * width * 2 + c * kTile * 2;
      words[i] = Pairs(Halves(pair), Halves(pair + width * 2));
    }
    Transpose(words);
#pragma GCC unroll 16
    for (int i = 0; i < kTile; ++i) __builtin_memcpy(out + i * 64, &words[i], 64);
  }
}

// Block: queries [query0, query0 + query_block) of (row, head), blocks of queries fastest.
void TileAttention(const AttentionArgs& args, int64_t block, std::byte* scratch) {
  const HeadTiles tiles = TilesOf(args);
  const int64_t query0 = block % args.query_blocks * args.query_block;
  const int64_t head = block / args.query_blocks % args.heads;
  const int64_t row = block / args.query_blocks / args.heads;
  const int64_t queries = MinOf(args.query_block, args.queries - query0);
  const int64_t o_rows = tiles.columns * kTile;
  const TileAttentionScratch layout = LayOutTileScratch(args);
  const auto strip_at = [&](int64_t query) {
    const int64_t index = query / kStrip;
    TileStrip strip;
    strip.q = scratch + layout.q + index * 2 * tiles.chunks * kTileBytes;
    strip.o = reinterpret_cast<float*>(scratch + layout.o) + index * o_rows * kStrip;
    strip.m = reinterpret_cast<float*>(scratch + layout.m) + query;
    strip.l = reinterpret_cast<float*>(scratch + layout.l) + query;
    strip.s = reinterpret_cast<float*>(scratch + layout.s);
    strip.p = scratch + layout.p;
    return strip;
  };

  std::byte* rows = scratch + layout.rows;
  const int64_t width = tiles.chunks * kTerms;
  for (int64_t query = 0; query < queries; query += kStrip) {
    const TileStrip strip = strip_at(query);
    std::byte* q = scratch + layout.q + query / kStrip * 2 * tiles.chunks * kTileBytes;
    CopyRows(args.q, row, head, args.head_dim, query0 + query, MinOf(kStrip, queries - query),
             width, rows);
    for (int64_t half = 0; half < 2; ++half) {
      for (int64_t c = 0; c < tiles.chunks; ++c, q += kTileBytes) {
        TurnWords(rows + half * kTile * width * 2 + c * 64, width * 2, q);
      }
    }
    for (int64_t i = 0; i < o_rows * kStrip; i += kLanes) Store(strip.o + i, F{});
    for (int64_t i = 0; i < kStrip; i += kLanes) {
      Store(strip.m + i, Splat(-__builtin_inff()));
      Store(strip.l + i, F{});
    }
  }

  const int64_t length = LengthOf(args, row);
  const int64_t key_end = args.causal ? MinOf(length, query0 + queries) : length;
  TileUnit unit;
  unit.Configure();
  for (int64_t key0 = 0; key0 < key_end; key0 += args.key_block) {
    const int64_t keys = MinOf(args.key_block, length - key0);
    const int64_t key_chunks = CeilDiv(keys, kTerms);
    const std::byte* chunk = ChunkAt(args, tiles, row, head, key0 / kTerms);
    for (int64_t query = 0; query < queries; query += kStrip) {
      const int64_t first = query0 + query;
      // A strip none of whose queries sees these keys.
      if (args.causal && key0 >= first + kStrip) continue;
      const TileStrip strip = strip_at(query);
      for (int64_t k = 0; k < key_chunks; ++k) {
        ScoreTiles(unit, strip, chunk + k * tiles.chunk_bytes, tiles.chunks,
                   strip.s + k * kTerms * kStrip);
      }
      F largest[2] = {Load(strip.m), Load(strip.m + kLanes)};
      const int64_t padded = key_chunks * kTerms;
      const F scale = FindLargest(args, strip.s, keys, padded, key0, first, largest);
      Probabilities(strip, scale, padded, o_rows, largest);
      const std::byte* values = chunk + 2 * tiles.chunks * kTileBytes;
      int64_t c = 0;
      for (; c + 2 <= tiles.columns; c += 2) {
        ValueTiles<2>(unit, values + c * kTileBytes, tiles.chunk_bytes, key_chunks, strip.p,
                      strip.o + c * kTile * kStrip);
      }
      if (c < tiles.columns) {
        ValueTiles<1>(unit, values + c * kTileBytes, tiles.chunk_bytes, key_chunks, strip.p,
                      strip.o + c * kTile * kStrip);
      }
    }
  }
  unit.Release();

  float* run = reinterpret_cast<float*>(scratch + layout.run);
  for (int64_t query = 0; query < queries; query += kLanes) {
    const int64_t lane = query % kStrip;
    const TileStrip strip = strip_at(query - lane);
    FinishQueries(args, row, head, query0 + query, MinOf(kLanes, queries - query), strip.o + lane,
                  kStrip, Load(strip.l + lane), run, o_rows);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
