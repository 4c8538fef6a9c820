// Runs a matmul or conv2d step: fills in addresses and blocks, and hands the blocks to the threads.
#include "native/cpu/gemm/gemm_step.h"

#include <algorithm>
#include <cstring>

#include "native/core/rounding.h"
#include "native/cpu/cpu_features.h"
#include "native/cpu/gemm/folded_weights.h"

namespace irodori::cpu {
namespace {

constexpr int64_t kSpreadRows = 16;  // that a thread copies at a time

// Whether crowded rows are copied apart before the product: its blocks of outputs would each lay
// them down again. 64x1536x384 gains 8 % on AVX2; a copy of 10 MB costs what it saves, and for 16
// rows it is one more wait for the other threads (Zen 4, 2026-11-27).
bool WorthSpreading(const GemmArgs& args) {
  constexpr int64_t kFewestRows = 32;
  constexpr int64_t kMostBytes = 6'000'000;
  const int64_t rows = args.batch * args.rows;
  return args.column_blocks > 1 && rows >= kFewestRows && rows * args.k * 4 <= kMostBytes;
}

}  // namespace

GemmStep::GemmStep(const PlanContext& context, const Step& step, const GemmArgs& args)
    : args_(args), x_(static_cast<uint32_t>(step.operands[0])), finish_(context, step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  const CpuPack& pack = context.pack(step.operands[1]);
  args_.x_dtype = x.dtype;
  args_.x_pitch = x.pitch;
  args_.weights = pack.data();
  args_.weight_dtype = pack.spec().dtype;
  parities_ = pack.spec().packing == Packing::kUpsample ? kParities : 1;
  args_.weight_depth = parities_ * GemmDepth(args_.k, pack.spec().dtype, context.kernels.tile);
  if (pack.spec().dtype == DType::kI8) finish_.PrependScales(pack.scales());
  if (step.operands[2] >= 0) finish_.Prepend(context, Epilogue::kAdd, step.operands[2]);
  // Whatever the kernel and the padding: a convolution's tap may lie outside of x on any side.
  if (args_.in_w > 0) zeros_.resize(static_cast<size_t>(args_.channels * DTypeBytes(x.dtype)));
  const bool tiles = context.takes_tiles(x, pack);
  spreads_ = !tiles && x.dtype == DType::kF32 && args_.in_w == 0 && args_.rows > 1 &&
             x.pitch * 4 % kCrowdedBytes == 0;
  tile_ = FitToCache(tiles ? context.kernels.tile_bf16 : context.kernels.tile, SecondCacheBytes());
  kernel_ = tiles ? context.kernels.gemm_bf16 : context.kernels.gemm;
  scratch_ = tiles ? context.kernels.gemm_bf16_scratch : context.kernels.gemm_scratch;
}

Status GemmStep::Execute(Run& run) const {
  GemmArgs args = args_;
  args.x = run.source(x_);
  args.batch = run.rows();
  args.zeros = zeros_.data();
  args.finish = finish_.Resolve(run);
  PlanGemmBlocks(tile_, run.threads(), args);
  args.depth = GemmDepth(args.depth, args.weight_dtype, tile_);
  if (spreads_ && WorthSpreading(args)) IRODORI_RETURN_IF_ERROR(SpreadRows(run, args));
  if (parities_ == 1) return RunProduct(run, args);
  const int64_t plane_bytes =
      args.weight_depth / parities_ * tile_.lanes * DTypeBytes(args.weight_dtype);
  for (int64_t parity = 0; parity < parities_; ++parity) {
    args.grid = {2, parity / 2, parity % 2, 2 * args.out_w};
    args.pad_top = 1 - args.grid.top;
    args.pad_left = 1 - args.grid.left;
    args.weights = args_.weights + parity * plane_bytes;
    IRODORI_RETURN_IF_ERROR(RunProduct(run, args));
  }
  return Status::Ok();
}

Status GemmStep::SpreadRows(Run& run, GemmArgs& args) const {
  const int64_t rows = args.batch * args.rows;
  const int64_t pitch = LaidPitch(args.k);
  const Result<std::byte*> memory = run.Shared(rows * pitch * 4);
  IRODORI_RETURN_IF_ERROR(memory.status());
  std::byte* const spread = memory.value();
  const auto copy = [&](int64_t block, std::byte*) {
    const int64_t end = std::min(rows, (block + 1) * kSpreadRows);
    for (int64_t row = block * kSpreadRows; row < end; ++row) {
      const std::byte* from = RowAt(args.x, row / args.rows) + row % args.rows * args.x_pitch * 4;
      std::memcpy(spread + row * pitch * 4, from, static_cast<size_t>(args.k * 4));
    }
  };
  IRODORI_RETURN_IF_ERROR(run.ForBlocks(CeilDiv(rows, kSpreadRows), rows * args.k, 0, copy));
  args.x = {spread, args.rows * pitch * 4, nullptr, 0};
  args.x_pitch = pitch;
  return Status::Ok();
}

Status GemmStep::RunProduct(Run& run, GemmArgs& args) const {
  return run.ForBlocks(args.row_blocks * args.column_blocks,
                       args.batch * args.rows * args.n * (args.k + finish_.work()), scratch_(args),
                       kernel_, args);
}

}  // namespace irodori::cpu
