// rms_norm: the weight goes into the epilogue.
#include "native/cpu/ops/rows_step.h"

namespace irodori::cpu {

Result<StepPlan> PlanRmsNorm(const PlanContext& context, const Step& step) {
  FinishPlan finish(context, step);
  if (step.operands[1] >= 0) finish.Prepend(context, Epilogue::kMul, step.operands[1]);
  return StepPlan(std::make_unique<RowsStep>(context, step, context.kernels.rms_norm,
                                             static_cast<float>(step.attrs[0]), 6,
                                             std::move(finish)));
}

}  // namespace irodori::cpu
