// resize_bilinear: the taps of both axes are found when a program is bound.
#include <algorithm>

#include "native/cpu/planned_step.h"

namespace irodori::cpu {
namespace {

// Places and weights along one axis, computed in float32 as PyTorch does.
std::vector<ResizeTap> TapsOf(int64_t in, int64_t out, bool align_corners) {
  std::vector<ResizeTap> taps(static_cast<size_t>(out));
  float scale = 0;
  if (align_corners) {
    scale = out > 1 ? static_cast<float>(in - 1) / static_cast<float>(out - 1) : 0.0f;
  } else {
    scale = static_cast<float>(in) / static_cast<float>(out);
  }
  for (int64_t i = 0; i < out; ++i) {
    const float at = static_cast<float>(i);
    const float place = align_corners ? scale * at : std::max(0.0f, scale * (at + 0.5f) - 0.5f);
    const int64_t first = std::min(static_cast<int64_t>(place), in - 1);
    const float weight = std::clamp(place - static_cast<float>(first), 0.0f, 1.0f);
    taps[static_cast<size_t>(i)] = {first, std::min(first + 1, in - 1), 1.0f - weight, weight};
  }
  return taps;
}

class ResizeBilinearStep final : public PlannedStep {
 public:
  ResizeBilinearStep(const PlanContext& context, const Step& step)
      : x_(static_cast<uint32_t>(step.operands[0])), finish_(context, step) {
    const BufferSpec& x = context.buffer(step.operands[0]);
    const BufferSpec& out = finish_.out();
    const bool align_corners = step.attrs[0] == 1;
    rows_ = TapsOf(x.shape[0], out.shape[0], align_corners);
    columns_ = TapsOf(x.shape[1], out.shape[1], align_corners);
    args_.x_dtype = x.dtype;
    args_.x_pitch = x.pitch;
    args_.in_w = x.shape[1];
    args_.out_h = out.shape[0];
    args_.out_w = out.shape[1];
    args_.channels = x.shape[2];
    args_.rows = rows_.data();
    args_.columns = columns_.data();
  }

  Status Execute(Run& run) const override {
    ResizeBilinearArgs args = args_;
    args.x = run.source(x_);
    args.batch = run.rows();
    args.finish = finish_.Resolve(run);
    const int64_t work =
        args.batch * args.out_h * args.out_w * args.channels * (12 + finish_.work());
    const KernelTable& kernels = run.kernels();
    return run.ForBlocks(args.batch * args.out_h, work, kernels.resize_bilinear_scratch(args),
                         kernels.resize_bilinear, args);
  }

 private:
  ResizeBilinearArgs args_;
  uint32_t x_;
  FinishPlan finish_;
  std::vector<ResizeTap> rows_, columns_;
};

}  // namespace

Result<StepPlan> PlanResizeBilinear(const PlanContext& context, const Step& step) {
  return StepPlan(std::make_unique<ResizeBilinearStep>(context, step));
}

}  // namespace irodori::cpu
