// What layer_norm, rms_norm, softmax and elementwise share when they are planned and run.
#pragma once

#include "native/cpu/planned_step.h"

namespace irodori::cpu {

class RowsStep final : public PlannedStep {
 public:
  // `cost`: multiply-adds per element besides the epilogue.
  RowsStep(const PlanContext& context, const Step& step, BlockKernel<RowsArgs> kernel, float eps,
           int64_t cost, FinishPlan finish);
  // For kernels without reduction: columns are split too, and dense data is one long vector.
  void AllowColumnBlocks();
  Status Execute(Run& run) const override;

 private:
  RowsArgs args_;
  uint32_t x_;
  FinishPlan finish_;
  BlockKernel<RowsArgs> kernel_;
  int64_t cost_;
};

}  // namespace irodori::cpu
