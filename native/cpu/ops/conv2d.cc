// conv2d: channels-last, as the matrix product with kernelH · kernelW stretches of C per output
// pixel, as its form says (conv_form.h), or by lanes of channels where outputs are few.
#include "native/core/conv_form.h"
#include "native/cpu/gemm/gemm_step.h"
#include "native/cpu/gemm/int8_step.h"
#include "native/cpu/gemm/narrow_conv_step.h"
#include "native/cpu/gemm/winograd_step.h"

namespace irodori::cpu {
namespace {

StepPlan Product(const PlanContext& context, const Step& step, const GemmArgs& args) {
  if (step.attrs[12] != 0) return std::make_unique<Int8Step>(context, step, args);
  return std::make_unique<GemmStep>(context, step, args);
}

StepPlan PlanProduct(const PlanContext& context, const Step& step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  const BufferSpec& out = context.program.buffers[step.output];
  const auto attr = [&](size_t i) { return static_cast<int64_t>(step.attrs[i]); };
  GemmArgs args;
  args.in_h = x.shape[0];
  args.in_w = x.shape[1];
  args.channels = x.shape[2];
  args.n = out.columns();
  if (attr(10) == 2) {  // 2x2 taps for each parity of the pixels
    args.out_w = args.in_w;
    args.taps = 4;
    args.kernel_w = 2;
    args.rows = args.in_h * args.in_w;
    args.k = args.k_block = args.taps * args.channels;
    return Product(context, step, args);
  }
  args.out_w = out.shape[1];
  args.taps = attr(0) * attr(1);
  args.kernel_w = attr(1);
  args.stride_h = attr(2);
  args.stride_w = attr(3);
  args.pad_top = attr(4);
  args.pad_left = attr(5);
  args.rows = out.vectors();
  args.k = args.taps * args.channels;
  args.k_block = GemmKBlock(args.k, attr(8), attr(9));
  return Product(context, step, args);
}

}  // namespace

Result<StepPlan> PlanConv2d(const PlanContext& context, const Step& step) {
  if (step.attrs[11] != 0) return StepPlan(std::make_unique<WinogradStep>(context, step));
  const bool int8 = IsInt8(context.buffer(step.operands[1]).dtype);
  if (!int8 && NarrowConvStep::Takes(context, step)) {
    return StepPlan(std::make_unique<NarrowConvStep>(context, step));
  }
  return PlanProduct(context, step);
}

}  // namespace irodori::cpu
