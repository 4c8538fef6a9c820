// softmax over the last axis.
#include "native/cpu/ops/rows_step.h"

namespace irodori::cpu {

Result<StepPlan> PlanSoftmax(const PlanContext& context, const Step& step) {
  return StepPlan(std::make_unique<RowsStep>(context, step, context.kernels.softmax, 0.0f, 24,
                                             FinishPlan(context, step)));
}

}  // namespace irodori::cpu
