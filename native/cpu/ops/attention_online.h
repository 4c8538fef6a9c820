// The attention kernel of a family: queries in the lanes, keys one after another.
//
// A job owns one (row, head, block of queries). Queries are turned once into strips of two vectors
// and scaled by scale · log2(e), so that exp is 2^x. Per block of keys, whose rows are gathered
// where a head is a part of wider rows, and per strip (attention_tiles.h):
//   S'[key][query] = K Q'     register tiles, and the largest score of a query
//   p, m, l                   element-wise over vectors of queries: no horizontal reduction
//   O'[c][query] = O' 2^(m_old - m_new) + V' p      outer-product tiles
// and O' / l is turned on the way out. A query's bits depend on its own lane and on key_block only.
#pragma once

#include "native/cpu/finish.h"
#include "native/cpu/ops/attention.h"
#include "native/cpu/ops/attention_tiles.h"
#include "native/cpu/transpose.h"

namespace irodori::cpu::IRODORI_FAMILY {

inline constexpr int64_t kStripQueries = kStripVectors * kLanes;

// Parts of a thread's scratch, in floats; `run` are kLanes vectors of `dim`, which is K as whole
// vectors.
struct AttentionScratch {
  int64_t dim, q, o, m, l, s, largest, alpha, k, v, run, bytes;
};
IRODORI_INLINE AttentionScratch LayOutScratch(const AttentionArgs& args) {
  const int64_t lanes = RoundUp(args.query_block, kLanes);
  const int64_t block = MinOf(args.key_block, args.keys);
  const int64_t head = RoundUp(block * args.head_dim + kRunSlack, 16);
  AttentionScratch scratch;
  scratch.dim = RoundUp(args.head_dim, kLanes);
  scratch.q = 0;
  scratch.o = scratch.q + RoundUp(scratch.dim * lanes, 16);
  scratch.m = scratch.o + RoundUp(scratch.dim * lanes, 16);
  scratch.l = scratch.m + RoundUp(lanes, 16);
  scratch.s = scratch.l + RoundUp(lanes, 16);
  scratch.largest = scratch.s + RoundUp(block * kStripQueries, 16);
  scratch.alpha = scratch.largest + RoundUp(kStripQueries, 16);
  scratch.k = scratch.alpha + RoundUp(kStripQueries, 16);
  scratch.v = scratch.k + head;
  scratch.run = scratch.v + head;
  scratch.bytes = 4 * (scratch.run + scratch.dim * kLanes + kRunSlack);
  return scratch;
}
static inline int64_t AttentionScratchBytes(const AttentionArgs& args) {
  return LayOutScratch(args).bytes;
}

// Rows [first, first + count) of a key or value head as float32: in place, or copied to lie one
// behind the other. At the pitch of whole rows they would share few sets of L1 and need a page
// each.
static inline HeadRows ReadHead(const AttentionOperand& operand, int64_t row, int64_t head,
                                int64_t dim, int64_t first, int64_t count, bool copied,
                                float* copy) {
  const std::byte* base = RowAt(operand.rows, row);
  const int64_t at = first * operand.pitch + head * operand.head_step;
  if (operand.dtype == DType::kF32 && !copied) {
    return {reinterpret_cast<const float*>(base) + at, operand.pitch};
  }
  for (int64_t i = 0; i < count; ++i) {
    LoadRun(copy + i * dim, base, operand.dtype, at + i * operand.pitch, dim);
  }
  return {copy, dim};
}

// Asks for rows [first, first + count) of a head to be in L2 by the time they are read: from page
// to page no processor does by itself.
static inline void PrefetchHead(const AttentionOperand& operand, int64_t row, int64_t head,
                                int64_t dim, int64_t first, int64_t count) {
  constexpr int64_t kLine = 64;
  const int64_t size = operand.dtype == DType::kF32 ? 4 : 2;
  const std::byte* data =
      RowAt(operand.rows, row) + (first * operand.pitch + head * operand.head_step) * size;
  for (int64_t i = 0; i < count; ++i, data += operand.pitch * size) {
    for (int64_t at = 0; at < dim * size; at += kLine) __builtin_prefetch(data + at, 0, 2);
  }
}

// Turns `count` queries from `query` on into lanes of a strip `width` wide; other lanes are zero.
static inline void PackQueries(const AttentionArgs& args, int64_t row, int64_t head, int64_t query,
                               int64_t count, float* run, int64_t pitch, float* q, int64_t width) {
  const int64_t dim = args.head_dim;
  for (int64_t i = 0; i < kLanes; ++i) {
    if (i < count) {
      LoadRun(run + i * pitch, RowAt(args.q.rows, row), args.q.dtype,
              (query + i) * args.q.pitch + head * args.q.head_step, dim);
    } else {
      for (int64_t c = 0; c < pitch; c += kLanes) Store(run + i * pitch + c, F{});
    }
  }
  for (int64_t c = 0; c < pitch; c += kLanes) {
    F rows[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) rows[i] = Load(run + i * pitch + c) * Splat(args.scale);
    Transpose(rows);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) Store(q + (c + i) * width, rows[i]);
  }
}

// The other way: o / l of those lanes, finished and stored. No keys at all: l and o are 0.
static inline void FinishQueries(const AttentionArgs& args, int64_t row, int64_t head,
                                 int64_t query, int64_t count, const float* o, int64_t width, F l,
                                 float* run, int64_t pitch) {
  const F inverse = l > F{} ? Splat(1.0f) / l : l;
  for (int64_t c = 0; c < pitch; c += kLanes) {
    F rows[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) rows[i] = Load(o + (c + i) * width) * inverse;
    Transpose(rows);
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) Store(run + i * pitch + c, rows[i]);
  }
  const int64_t dim = args.head_dim;
  for (int64_t i = 0; i < count; ++i) {
    FinishRun(args.finish, run + i * pitch, row, query + i, head * dim, dim);
  }
}

// A block of keys for a strip whose first query is `query0`.
template <int NV>
static inline void BlockOf(const Strip& strip, const HeadRows& k, const HeadRows& v, int64_t keys,
                           int64_t dim, bool causal, int64_t key0, int64_t query0) {
  ScoresOf<NV>(strip, k, keys, dim);
  if (causal && key0 + keys - 1 > query0) MaskScores<NV>(strip, keys, key0, query0);
  SoftmaxOf<NV>(strip, keys);
  ValuesOf<NV>(strip, v, keys, dim);
}

// Queries [query0, query0 + query_block) of one head.
static inline void AttentionOfHead(const AttentionArgs& args, int64_t row, int64_t head,
                                   int64_t query0, std::byte* scratch) {
  const int64_t queries = MinOf(args.query_block, args.queries - query0);
  const int64_t lanes = RoundUp(queries, kLanes);
  const int64_t dim = args.head_dim;

  const AttentionScratch layout = LayOutScratch(args);
  float* floats = reinterpret_cast<float*>(scratch);
  float* run = floats + layout.run;
  const auto strip_at = [&](int64_t query) {
    const int64_t line = query * layout.dim;
    Strip strip;
    strip.q = floats + layout.q + line;
    strip.o = floats + layout.o + line;
    strip.m = floats + layout.m + query;
    strip.l = floats + layout.l + query;
    strip.s = floats + layout.s;
    strip.largest = floats + layout.largest;
    strip.alpha = floats + layout.alpha;
    return strip;
  };
  // Calls body(query, width of its strip, lane of the strip) for every vector of queries.
  const auto for_vectors = [&](const auto& body) {
    for (int64_t query = 0; query < lanes; query += kLanes) {
      const int64_t first = query / kStripQueries * kStripQueries;
      body(query, MinOf(kStripQueries, lanes - first), strip_at(first), query - first);
    }
  };

  for (int64_t i = 0; i < layout.dim * lanes; i += kLanes) Store(floats + layout.o + i, F{});
  for_vectors([&](int64_t query, int64_t width, const Strip& strip, int64_t lane) {
    PackQueries(args, row, head, query0 + query, MinOf(kLanes, queries - query), run, layout.dim,
                strip.q + lane, width);
    Store(strip.m + lane, Splat(-__builtin_inff()));
    Store(strip.l + lane, F{});
  });

  const int64_t length = args.kv_lengths != nullptr ? args.kv_lengths[row] : args.keys;
  const int64_t key_end = args.causal ? MinOf(length, query0 + queries) : length;
  for (int64_t key0 = 0; key0 < key_end; key0 += args.key_block) {
    // Whole blocks also at the diagonal: a query's bits must not depend on which queries share its
    // job.
    const int64_t keys = MinOf(args.key_block, length - key0);
    const auto read = [&](const AttentionOperand& operand, float* copy) {
      return ReadHead(operand, row, head, dim, key0, keys, args.copy_heads, copy);
    };
    const HeadRows k = read(args.k, floats + layout.k);
    const HeadRows v = read(args.v, floats + layout.v);
    const int64_t next_keys = MinOf(args.key_block, MaxOf(key_end - key0 - keys, 0));
    for (int64_t query = 0; query < lanes; query += kStripQueries) {
      const int64_t first = query0 + query;
      // Every strip asks for its share of the next block.
      const int64_t next = next_keys * query / lanes;
      const int64_t end = next_keys * MinOf(query + kStripQueries, lanes) / lanes;
      PrefetchHead(args.k, row, head, dim, key0 + keys + next, end - next);
      PrefetchHead(args.v, row, head, dim, key0 + keys + next, end - next);
      if (args.causal && key0 >= first + kStripQueries) continue;
      if (lanes - query >= kStripQueries) {
        BlockOf<kStripVectors>(strip_at(query), k, v, keys, dim, args.causal, key0, first);
      } else {
        BlockOf<1>(strip_at(query), k, v, keys, dim, args.causal, key0, first);
      }
    }
  }
  for_vectors([&](int64_t query, int64_t width, const Strip& strip, int64_t lane) {
    FinishQueries(args, row, head, query0 + query, MinOf(kLanes, queries - query), strip.o + lane,
                  width, Load(strip.l + lane), run, layout.dim);
  });
}

static inline void AttentionBlock(const AttentionArgs& args, int64_t block, std::byte* scratch) {
  const int64_t query0 = block % args.query_blocks * args.query_block;
  const int64_t head0 = block / args.query_blocks % args.head_blocks * args.head_block;
  const int64_t row = block / args.query_blocks / args.head_blocks;
  const int64_t end = MinOf(args.heads, head0 + args.head_block);
  for (int64_t head = head0; head < end; ++head) {
    AttentionOfHead(args, row, head, query0, scratch);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
