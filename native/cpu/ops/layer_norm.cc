// layer_norm: affine weights go into the epilogue.
#include "native/cpu/ops/rows_step.h"

namespace irodori::cpu {

Result<StepPlan> PlanLayerNorm(const PlanContext& context, const Step& step) {
  FinishPlan finish(context, step);
  if (step.operands[1] >= 0) finish.Prepend(context, Epilogue::kMul, step.operands[1]);
  if (step.operands[2] >= 0) finish.Prepend(context, Epilogue::kAdd, step.operands[2]);
  return StepPlan(std::make_unique<RowsStep>(context, step, context.kernels.layer_norm,
                                             static_cast<float>(step.attrs[0]), 8,
                                             std::move(finish)));
}

}  // namespace irodori::cpu
