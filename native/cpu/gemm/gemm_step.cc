// Runs a matmul or conv2d step: fills in addresses and blocks, and hands the blocks to the threads.
#include "native/cpu/gemm/gemm_step.h"

#include "native/cpu/gemm/folded_weights.h"

namespace irodori::cpu {

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
  tile_ = tiles ? context.kernels.tile_bf16 : context.kernels.tile;
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

Status GemmStep::RunProduct(Run& run, GemmArgs& args) const {
  return run.ForBlocks(args.row_blocks * args.column_blocks,
                       args.batch * args.rows * args.n * (args.k + finish_.work()), scratch_(args),
                       kernel_, args);
}

}  // namespace irodori::cpu
