// resize_nearest: out[i, j] = x[floor(i H / H'), floor(j W / W')], pixel by pixel.
#include "native/cpu/ops/copy_vectors.h"

namespace irodori::cpu {
namespace {

class ResizeNearestStep final : public PlannedStep {
 public:
  ResizeNearestStep(const PlanContext& context, const Step& step)
      : x_(static_cast<uint32_t>(step.operands[0])),
        x_spec_(context.buffer(step.operands[0])),
        finish_(context, step) {}

  // A job is one output row of pixels.
  Status Execute(Run& run) const override {
    const Shape& in = x_spec_.shape;
    const Shape& out = finish_.out().shape;
    CopyVectors copy{run.source(x_), x_spec_.dtype,        x_spec_.pitch,
                     out[2],         finish_.Resolve(run), false};
    copy.plain = finish_.count() == 0 && copy.dtype == copy.finish.dtype;
    const KernelTable& kernels = run.kernels();
    return run.ForBlocks(
        run.rows() * out[0], run.rows() * out[0] * out[1] * out[2] * finish_.work(),
        CopyVectorsScratch(out[2]), [&](int64_t block, std::byte* scratch) {
          const int64_t row = block / out[0];
          const int64_t i = block % out[0];
          const int64_t y = i * in[0] / out[0];
          for (int64_t j = 0; j < out[1]; ++j) {
            CopyVector(kernels, copy, row, y * in[1] + j * in[1] / out[1], i * out[1] + j, scratch);
          }
        });
  }

 private:
  uint32_t x_;
  BufferSpec x_spec_;
  FinishPlan finish_;
};

}  // namespace

Result<StepPlan> PlanResizeNearest(const PlanContext& context, const Step& step) {
  return StepPlan(std::make_unique<ResizeNearestStep>(context, step));
}

}  // namespace irodori::cpu
