// Plans and runs a Winograd convolution: fills in addresses and blocks, and hands the blocks to the
// threads.
#include "native/cpu/gemm/winograd_step.h"

#include "native/core/rounding.h"
#include "native/cpu/gemm/folded_weights.h"

namespace irodori::cpu {

WinogradStep::WinogradStep(const PlanContext& context, const Step& step)
    : x_(static_cast<uint32_t>(step.operands[0])), finish_(context, step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  const BufferSpec& out = context.program.buffers[step.output];
  const CpuPack& pack = context.pack(step.operands[1]);
  const auto attr = [&](size_t i) { return static_cast<int64_t>(step.attrs[i]); };
  const int64_t upsample = attr(10);
  const DType weight_dtype = pack.spec().dtype;
  args_.x_dtype = x.dtype;
  args_.x_pitch = x.pitch;
  args_.channels = x.shape[2];
  args_.n = out.columns();
  args_.in_h = x.shape[0];
  args_.in_w = x.shape[1];
  args_.out_h = out.shape[0] / upsample;
  args_.out_w = out.shape[1] / upsample;
  args_.tile = attr(11);
  args_.taps = upsample == 2 ? 2 : 3;
  args_.pad_top = attr(4);
  args_.pad_left = attr(5);
  args_.tiles_w = CeilDiv(args_.out_w, args_.tile);
  args_.tiles = CeilDiv(args_.out_h, args_.tile) * args_.tiles_w;
  args_.grid = {upsample, 0, 0, out.shape[1]};
  args_.weights = pack.data();
  args_.weight_dtype = weight_dtype;
  args_.weight_depth = GemmDepth(9 * args_.channels, weight_dtype, context.kernels.tile);
  parities_ = upsample == 2 ? kParities : 1;
  if (weight_dtype == DType::kI8) finish_.PrependScales(pack.scales());
  if (step.operands[2] >= 0) finish_.Prepend(context, Epilogue::kAdd, step.operands[2]);
  zeros_.resize(static_cast<size_t>(args_.channels * DTypeBytes(x.dtype)));
}

Status WinogradStep::Execute(Run& run) const {
  const KernelTable& kernels = run.kernels();
  WinogradArgs args = args_;
  args.x = run.source(x_);
  args.batch = run.rows();
  args.zeros = zeros_.data();
  args.finish = finish_.Resolve(run);
  PlanWinogradBlocks(kernels.tile, kernels.winograd_tile, run.threads(), args);
  const int64_t side = args.tile + args.taps - 1;
  const int64_t terms = side * side * args.channels + args.tile * args.tile * finish_.work();
  for (int64_t parity = 0; parity < parities_; ++parity) {
    if (parities_ > 1) {
      args.grid.top = parity / 2;
      args.grid.left = parity % 2;
      args.pad_top = 1 - args.grid.top;
      args.pad_left = 1 - args.grid.left;
      args.odd_y = args.grid.top == 1;
      args.odd_x = args.grid.left == 1;
    }
    IRODORI_RETURN_IF_ERROR(run.ForBlocks(args.tile_blocks * args.column_blocks,
                                          args.batch * args.tiles * args.n * terms,
                                          kernels.winograd_scratch(args), kernels.winograd, args));
  }
  return Status::Ok();
}

}  // namespace irodori::cpu
