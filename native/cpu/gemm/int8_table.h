// The kernels of int8 products of one family.
#pragma once

#include "native/cpu/gemm/int8.h"

namespace irodori::cpu {

struct Int8Table {
  GemmTile tile;   // lanes and bf16_unit are those of the family's other products: packs are shared
  int32_t offset;  // that the product wants on x
  // Of x in 8 bits, and in 7.
  void (*product)(const Int8Args& args, int64_t block, std::byte* scratch);
  void (*product7)(const Int8Args& args, int64_t block, std::byte* scratch);
  int64_t (*product_scratch)(const Int8Args& args);
  // Blocks of QuantizeArgs: ranges where a scale is of a whole row, then all.
  void (*range)(const QuantizeArgs& args, int64_t block, std::byte* scratch);
  void (*quantize)(const QuantizeArgs& args, int64_t block, std::byte* scratch);
  int64_t (*quantize_scratch)(const QuantizeArgs& args);
};

}  // namespace irodori::cpu
