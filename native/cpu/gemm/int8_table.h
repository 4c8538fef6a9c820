// The kernels of int8 products of one family.
#pragma once

#include "native/cpu/gemm/int8.h"

namespace irodori::cpu {

struct Int8Table {
  struct Product {
    int32_t offset;  // that it wants on x
    void (*block)(const Int8Args& args, int64_t block, std::byte* scratch);
    int64_t (*scratch)(const Int8Args& args);
  };
  const Product& product(int64_t sums) const { return sums == 16 ? sums16 : sums32; }

  GemmTile tile;  // lanes and bf16_unit are those of the family's other products: packs are shared
  Product sums32, sums16;
  // Blocks of QuantizeArgs: ranges where a scale is of a whole row, then all.
  void (*range)(const QuantizeArgs& args, int64_t block, std::byte* scratch);
  void (*quantize)(const QuantizeArgs& args, int64_t block, std::byte* scratch);
  int64_t (*quantize_scratch)(const QuantizeArgs& args);
};

}  // namespace irodori::cpu
