// The bf16 matrix product through matrix tiles (tile_block.h), for families with a tile unit.
//
// Blocks, passes, partial sums and the finish are as in gemm_block.h; an output's bits depend on k
// and k_block only.
#pragma once

#include "native/cpu/gemm/tile_block.h"

namespace irodori::cpu::IRODORI_FAMILY {

void GemmTiles(const GemmArgs& args, int64_t block, std::byte* scratch) {
  const TileBlock at = TileBlockOf(args, block);
  const TileScratch layout = LayOutTiles<Bf16Element>(args);
  float* c = reinterpret_cast<float*>(scratch);
  float* sums = reinterpret_cast<float*>(scratch + layout.sums);
  FindRows(args, at.m0, at.rows, reinterpret_cast<RowPlace*>(scratch + layout.places));
  const bool partial = args.k_block < args.k;
  const int64_t results = at.rows * at.c_pitch;
  if (args.k == 0) __builtin_memset(c, 0, static_cast<size_t>(results * 4));
  TileUnit unit;
  unit.Configure();
  for (int64_t part = 0; part < args.k; part += args.k_block) {
    SumThroughTiles<Bf16Element>(args, at, part, MinOf(part + args.k_block, args.k), unit, scratch);
    if (!partial) continue;
    for (int64_t i = 0; i < results; i += kLanes) {
      Store(sums + i, part == 0 ? Load(c + i) : Load(sums + i) + Load(c + i));
    }
  }
  unit.Release();
  float* finished = partial ? sums : c;
  for (int64_t i = 0; i < at.rows; ++i) {
    FinishRun(args.finish, finished + i * at.c_pitch, (at.m0 + i) / args.rows,
              VectorOf(args, (at.m0 + i) % args.rows), at.n0, at.n1 - at.n0);
  }
}

int64_t GemmTilesScratch(const GemmArgs& args) { return LayOutTiles<Bf16Element>(args).bytes; }

}  // namespace irodori::cpu::IRODORI_FAMILY
