// Winograd's convolution of the CPU backend: Args of F(m x m, r x r) over a channels-last picture.
//
//   V(s) [tiles, C] = (B' d B)(s)     d: the (m + r - 1)² pixels under a tile, padding zero
//   U(s) [O, C] = (G w G')(s)         w: r x r taps
//   P(s) [tiles, O] = V(s) U(s)'      s: one of (m + r - 1)² planes
//   out(tile) = finish(A' P A)        m x m pixels
//
// Lavin and Gray 2015 (arXiv:1509.09308), eq. 8 to 12; for m = 4 other points than theirs. r = 2 is
// for one parity of the pixels of a doubled picture, whose taps are sums of three
// (folded_weights.h).
//
// V, U and P of a block are made, multiplied and finished by one thread and never leave its second
// cache. U is made of plain panels for every block of tiles again: 13 to 17 % of the time of m = 4
// with AVX-512 (Cascade Lake, 2026-11-26). Packs of U would be 16/9 (m = 2) or 4 times (m = 4) as
// large, and none could be shared with a plain sum.
//
// Rounding: an element of P is one chain of FMAs in ascending c; nothing of an output depends on
// the batch, on blocks or on threads.
#pragma once

#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {

// Points a and b of m = 4 beside 0 and infinity, each with both signs. Short binary fractions whose
// powers are exact in float32; over 320 channels of normal values a simulation with U in float64
// gives a relative L2 error of 1.7e-6, with the usual 1 and 2 of 3.6e-6, of a sum over all
// taps 9.7e-7.
inline constexpr float kWinogradNear = 0.75f;
inline constexpr float kWinogradFar = 1.5f;

struct WinogradArgs {
  RowSource x;
  DType x_dtype = DType::kF32;
  int64_t x_pitch = 0;  // elements between pixels
  int64_t batch = 0;
  int64_t channels = 0, n = 0;
  int64_t in_h = 0, in_w = 0, out_h = 0, out_w = 0;
  int64_t tile = 0, taps = 0;  // m and r
  int64_t pad_top = 0, pad_left = 0;
  bool odd_y = false, odd_x = false;  // r = 2: the parity
  int64_t tiles_w = 0, tiles = 0;     // of one picture
  PixelGrid grid;
  const std::byte* zeros = nullptr;  // `channels` zeros of x_dtype
  const std::byte* weights = nullptr;
  DType weight_dtype = DType::kF32;
  int64_t weight_depth = 0;  // terms of a panel of 3x3 weights

  // Job: block b is tile block b % tile_blocks of column block b / tile_blocks.
  int64_t tile_block = 0, tile_blocks = 0;      // tiles of [batch · tiles]
  int64_t column_block = 0, column_blocks = 0;  // outputs, a multiple of lanes
  int64_t depth = 0;                            // channels per pass over a block

  Finish finish;
};

// Cache blocks of a family.
struct WinogradTile {
  int64_t tiles;         // tiles of a block, at most
  int64_t column_block;  // outputs of a block, at most
  int64_t depth;         // channels per pass, at most
};

// Chooses tile_block .. depth for the args' batch.
void PlanWinogradBlocks(const GemmTile& gemm, const WinogradTile& winograd, int threads,
                        WinogradArgs& args);

}  // namespace irodori::cpu
