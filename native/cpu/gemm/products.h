// The products of a kernel family as its table takes them: plain, by Strassen and by Winograd. They
// are defined here: for the one file of each family that has their tiles.
#pragma once

#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/strassen_block.h"
#include "native/cpu/gemm/winograd_block.h"

namespace irodori::cpu::IRODORI_FAMILY {

void Gemm(const GemmArgs& args, int64_t block, std::byte* scratch) {
  MultiplyBlock(args, block, scratch);
}
int64_t GemmScratchSize(const GemmArgs& args) { return GemmScratchBytes(args); }

void StrassenSums(const StrassenSumsArgs& args, int64_t block, std::byte* scratch) {
  StrassenSumsBlock(args, block, scratch);
}
void Strassen(const StrassenArgs& args, int64_t block, std::byte* scratch) {
  StrassenBlock(args, block, scratch);
}
int64_t StrassenScratchSize(const StrassenArgs& args) { return StrassenScratchBytes(args); }

void WinogradTiles(const WinogradArgs& args, int64_t block, std::byte* scratch) {
  WinogradBlock(args, block, scratch);
}
int64_t WinogradScratchSize(const WinogradArgs& args) { return WinogradScratchBytes(args); }

}  // namespace irodori::cpu::IRODORI_FAMILY
