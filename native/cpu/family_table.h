// Everything of one kernel family but its matrix product and attention, and the table that holds it
// all together.
#pragma once

#include "native/cpu/family.h"
#include "native/cpu/gemm/narrow_conv_block.h"
#include "native/cpu/ops/elementwise_kernel.h"
#include "native/cpu/ops/group_norm_kernel.h"
#include "native/cpu/ops/layer_norm_kernel.h"
#include "native/cpu/ops/resize_bilinear_kernel.h"
#include "native/cpu/ops/rms_norm_kernel.h"
#include "native/cpu/ops/softmax_kernel.h"

namespace irodori::cpu::IRODORI_FAMILY {

// Defined in the family's own gemm and attention files.
extern const GemmTile kGemmTile;
void Gemm(const GemmArgs& args, int64_t block, std::byte* scratch);
int64_t GemmScratchSize(const GemmArgs& args);
extern const Int8Table kInt8Table;
extern const GemmTile kStrassenTile;
void StrassenSums(const StrassenSumsArgs& args, int64_t block, std::byte* scratch);
void Strassen(const StrassenArgs& args, int64_t block, std::byte* scratch);
int64_t StrassenScratchSize(const StrassenArgs& args);
extern const WinogradTile kWinogradTile;
void WinogradTiles(const WinogradArgs& args, int64_t block, std::byte* scratch);
int64_t WinogradScratchSize(const WinogradArgs& args);
void Attention(const AttentionArgs& args, int64_t block, std::byte* scratch);
int64_t AttentionScratchSize(const AttentionArgs& args);

static inline KernelTable MakeTable(const char* name) {
  return {name,
          kGemmTile,
          &Gemm,
          &GemmScratchSize,
          {},
          nullptr,
          nullptr,
          &kInt8Table,
          kStrassenTile,
          &StrassenSums,
          &Strassen,
          &StrassenScratchSize,
          kWinogradTile,
          &WinogradTiles,
          &WinogradScratchSize,
          &NarrowConvBlock,
          &NarrowConvScratchBytes,
          &Attention,
          &AttentionScratchSize,
          nullptr,
          nullptr,
          nullptr,
          nullptr,
          &LayerNormBlock,
          &RmsNormBlock,
          &SoftmaxBlock,
          &ElementwiseBlock,
          &RowsScratchBytes,
          &GroupNormStatistics,
          &GroupNormMerge,
          &GroupNormApply,
          &GroupNormScratchBytes,
          &ResizeBilinearBlock,
          &ResizeBilinearScratchBytes,
          &LoadRun,
          &FinishRun};
}

}  // namespace irodori::cpu::IRODORI_FAMILY
