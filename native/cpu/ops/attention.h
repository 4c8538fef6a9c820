// Attention with online softmax: Args and equation. Kernel in attention_online.h.
//
//   out[i] = sum_j p_ij v_j / sum_j p_ij,   p_ij = 2^(scale q_i . k_j - m_i)     per head, j < kv
//   length
//
// q [L, heads · K], k and v [S, heads · K], out [L, heads · K]; vectors `pitch` apart, so a joined
// QKV is read in place. causal: j <= i. Keys at or after a row's kv length are never read. No keys
// at all: zeros. Milakov and Gimelshein 2018 (arXiv:1805.02867): the maximum m_i and the sums are
// carried over blocks of `key_block` keys; a block rescales what came before by 2^(m_old - m_new).
#pragma once

#include "native/cpu/args.h"

namespace irodori::cpu {

// Element c of head h of vector i: at i · pitch + h · head_step + c.
struct AttentionOperand {
  RowSource rows;
  DType dtype = DType::kF32;
  int64_t pitch = 0;
  int64_t head_step = 0;
};

struct AttentionArgs {
  AttentionOperand q, k, v;
  const int64_t* kv_lengths = nullptr;  // one per batch row, or null: all keys
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t key_block = 0;
  // Job: (row, group of heads, block of queries), blocks fastest.
  int64_t query_block = 0, query_blocks = 0;  // queries
  int64_t head_block = 0, head_blocks = 0;    // heads
  // A job copies a block of keys and values, to lie together.
  bool copy_heads = false;
  bool causal = false;
  float scale = 1;  // with log2(e), of exp as a power of two
  // Keys and values of every (row, head) as matrix tiles, of the kernel that reads them so.
  std::byte* tiles = nullptr;
  Finish finish;
};

}  // namespace irodori::cpu
