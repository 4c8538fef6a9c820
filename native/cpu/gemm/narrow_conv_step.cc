// Plans and runs convolutions to very few outputs: weights are laid out by channel once, when a
// program is bound.
#include "native/cpu/gemm/narrow_conv_step.h"

#include "native/core/float_types.h"
#include "native/core/rounding.h"

namespace irodori::cpu {
namespace {

// Weight [j, k] of the first panel of a pack.
float WeightAt(const CpuPack& pack, int64_t lanes, int64_t j, int64_t k) {
  const auto* halves = reinterpret_cast<const uint16_t*>(pack.data());
  switch (pack.spec().dtype) {
    case DType::kBF16:
      return FloatFromBF16(halves[(k / 2 * lanes + j) * 2 + k % 2]);
    case DType::kF16:
      return FloatFromF16(halves[k * lanes + j]);
    default:
      return reinterpret_cast<const float*>(pack.data())[k * lanes + j];
  }
}

}  // namespace

bool NarrowConvStep::Takes(const PlanContext& context, const Step& step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  const CpuPack& pack = context.pack(step.operands[1]);
  const auto attr = [&](size_t i) { return static_cast<int64_t>(step.attrs[i]); };
  const int64_t k = attr(0) * attr(1) * x.shape[2];
  return context.program.buffers[step.output].columns() <= kNarrowOutputs &&
         x.shape[2] >= context.kernels.tile.lanes && GemmKBlock(k, attr(8), attr(9)) == k &&
         attr(10) != 2 && !context.takes_tiles(x, pack);
}

NarrowConvStep::NarrowConvStep(const PlanContext& context, const Step& step)
    : x_(static_cast<uint32_t>(step.operands[0])), finish_(context, step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  const BufferSpec& out = context.program.buffers[step.output];
  const CpuPack& pack = context.pack(step.operands[1]);
  const auto attr = [&](size_t i) { return static_cast<int64_t>(step.attrs[i]); };
  args_.x_dtype = x.dtype;
  args_.x_pitch = x.pitch;
  args_.in_h = x.shape[0];
  args_.in_w = x.shape[1];
  args_.channels = x.shape[2];
  args_.out_h = out.shape[0];
  args_.out_w = out.shape[1];
  args_.n = out.columns();
  args_.kernel_h = attr(0);
  args_.kernel_w = attr(1);
  args_.stride_h = attr(2);
  args_.stride_w = attr(3);
  args_.pad_top = attr(4);
  args_.pad_left = attr(5);
  if (step.operands[2] >= 0) finish_.Prepend(context, Epilogue::kAdd, step.operands[2]);

  const int64_t lanes = context.kernels.tile.lanes;
  const int64_t taps = args_.kernel_h * args_.kernel_w;
  args_.weight_pitch = RoundUp(args_.channels, lanes);
  weights_.resize(static_cast<size_t>(taps * args_.n * args_.weight_pitch));
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t j = 0; j < args_.n; ++j) {
      float* to = weights_.data() + (tap * args_.n + j) * args_.weight_pitch;
      for (int64_t c = 0; c < args_.channels; ++c) {
        to[c] = WeightAt(pack, lanes, j, tap * args_.channels + c);
      }
    }
  }
  args_.weights = weights_.data();
  zeros_.resize(static_cast<size_t>(args_.channels * DTypeBytes(x.dtype)));
  args_.zeros = zeros_.data();
}

Status NarrowConvStep::Execute(Run& run) const {
  NarrowConvArgs args = args_;
  args.x = run.source(x_);
  args.finish = finish_.Resolve(run);
  const int64_t blocks = run.rows() * args.out_h;
  const int64_t terms = args.kernel_h * args.kernel_w * args.channels;
  const KernelTable& kernels = run.kernels();
  return run.ForBlocks(blocks, blocks * args.out_w * args.n * (terms + finish_.work()),
                       kernels.narrow_conv_scratch(args), kernels.narrow_conv, args);
}

}  // namespace irodori::cpu
