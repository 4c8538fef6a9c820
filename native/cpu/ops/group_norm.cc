// group_norm: statistics of pixel blocks, their merge, and the application, one after another.
#include <algorithm>

#include "native/core/rounding.h"
#include "native/cpu/planned_step.h"

namespace irodori::cpu {
namespace {

class GroupNormStep final : public PlannedStep {
 public:
  GroupNormStep(const PlanContext& context, const Step& step, const GroupNormArgs& args)
      : args_(args), x_(static_cast<uint32_t>(step.operands[0])), finish_(context, step) {
    if (step.operands[1] >= 0) finish_.Prepend(context, Epilogue::kMul, step.operands[1]);
    if (step.operands[2] >= 0) finish_.Prepend(context, Epilogue::kAdd, step.operands[2]);
  }

  Status Execute(Run& run) const override {
    if (args_.pixels == 0 || args_.channels == 0) return Status::Ok();
    GroupNormArgs args = args_;
    args.x = run.source(x_);
    args.batch = run.rows();
    args.finish = finish_.Resolve(run);
    const int64_t blocks = args.batch * args.pixel_blocks;
    const int64_t partials = blocks * args.groups * 2;
    const int64_t moments = args.batch * 2 * (args.channels + 16);
    const Result<std::byte*> shared =
        run.Shared((partials + moments) * static_cast<int64_t>(sizeof(float)));
    IRODORI_RETURN_IF_ERROR(shared.status());
    args.partials = reinterpret_cast<float*>(shared.value());
    args.moments = args.partials + partials;
    std::fill_n(args.moments, moments, 0.0f);  // lanes past the last channel are read
    const int64_t work = args.batch * args.pixels * args.channels;
    const KernelTable& kernels = run.kernels();
    const int64_t scratch = kernels.group_norm_scratch(args);
    return run.ForPhases(work * (8 + finish_.work()), scratch,
                         KernelBlocks(blocks, kernels.group_norm_statistics, args),
                         KernelBlocks(args.batch, kernels.group_norm_merge, args),
                         KernelBlocks(blocks, kernels.group_norm_apply, args));
  }

 private:
  GroupNormArgs args_;
  uint32_t x_;
  FinishPlan finish_;
};

}  // namespace

Result<StepPlan> PlanGroupNorm(const PlanContext& context, const Step& step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  GroupNormArgs args;
  args.x_dtype = x.dtype;
  args.x_pitch = x.pitch;
  args.pixels = x.vectors();
  args.channels = x.columns();
  args.groups = static_cast<int64_t>(step.attrs[0]);
  args.eps = static_cast<float>(step.attrs[1]);
  args.pixel_block = std::clamp<int64_t>(static_cast<int64_t>(step.attrs[2]), 1,
                                         std::max<int64_t>(args.pixels, 1));
  args.pixel_blocks = CeilDiv(args.pixels, args.pixel_block);
  return StepPlan(std::make_unique<GroupNormStep>(context, step, args));
}

}  // namespace irodori::cpu
