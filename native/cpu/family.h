// Kernel families: one table of functions per instruction set, chosen when a device is opened.
//
// A block kernel is `void kernel(const Args&, int64_t block, std::byte* scratch)`: block in [0,
// blocks) of the args is one job of one thread; scratch is 64-byte aligned and has at least the
// bytes the op's `..._scratch` function says. The templates behind a table are compiled once per
// family, in its own namespace, by the files `family_<name>.cc`,
// `gemm/gemm_<rows>x<outputs>_<name>.cc` and `ops/attention_<name>.cc`.
#pragma once

#include "native/cpu/gemm/gemm.h"
#include "native/cpu/gemm/int8_table.h"
#include "native/cpu/gemm/narrow_conv.h"
#include "native/cpu/gemm/strassen.h"
#include "native/cpu/gemm/winograd.h"
#include "native/cpu/ops/attention.h"
#include "native/cpu/ops/group_norm.h"
#include "native/cpu/ops/resize_bilinear.h"
#include "native/cpu/ops/rows.h"

namespace irodori::cpu {

template <typename Args>
using BlockKernel = void (*)(const Args&, int64_t block, std::byte* scratch);
template <typename Args>
using ScratchBytes = int64_t (*)(const Args&);

struct KernelTable {
  const char* name;
  GemmTile tile;
  BlockKernel<GemmArgs> gemm;
  ScratchBytes<GemmArgs> gemm_scratch;
  // bf16 x bf16 through matrix tiles, over the same panels; null where the family has none.
  GemmTile tile_bf16;
  BlockKernel<GemmArgs> gemm_bf16;
  ScratchBytes<GemmArgs> gemm_bf16_scratch;
  const Int8Table* int8;
  GemmTile strassen_tile;
  BlockKernel<StrassenSumsArgs> strassen_sums;
  BlockKernel<StrassenArgs> strassen;
  ScratchBytes<StrassenArgs> strassen_scratch;
  WinogradTile winograd_tile;
  BlockKernel<WinogradArgs> winograd;
  ScratchBytes<WinogradArgs> winograd_scratch;
  BlockKernel<NarrowConvArgs> narrow_conv;
  ScratchBytes<NarrowConvArgs> narrow_conv_scratch;
  BlockKernel<AttentionArgs> attention;
  ScratchBytes<AttentionArgs> attention_scratch;
  // bf16 through matrix tiles: keys and values are packed first; null where the family has none.
  BlockKernel<AttentionArgs> attention_bf16_pack, attention_bf16;
  ScratchBytes<AttentionArgs> attention_bf16_bytes;  // of all packs
  ScratchBytes<AttentionArgs> attention_bf16_scratch;
  BlockKernel<RowsArgs> layer_norm, rms_norm, softmax, elementwise;
  ScratchBytes<RowsArgs> rows_scratch;
  BlockKernel<GroupNormArgs> group_norm_statistics, group_norm_merge, group_norm_apply;
  ScratchBytes<GroupNormArgs> group_norm_scratch;
  BlockKernel<ResizeBilinearArgs> resize_bilinear;
  ScratchBytes<ResizeBilinearArgs> resize_bilinear_scratch;
  // For kernels that only move data: `n` elements from `first` on as float32 (writing up to 16
  // floats more), and the epilogue with the store of columns n0 .. n0 + n of vector m.
  void (*load_run)(float* values, const std::byte* x, DType dtype, int64_t first, int64_t n);
  void (*finish_run)(const Finish& finish, float* values, int64_t row, int64_t m, int64_t n0,
                     int64_t n);
};

const KernelTable& PortableKernels();
const KernelTable& Avx2Kernels();
const KernelTable& Avx512Kernels();
const KernelTable& Avx512Bf16Kernels();
const KernelTable& AmxKernels();

}  // namespace irodori::cpu
