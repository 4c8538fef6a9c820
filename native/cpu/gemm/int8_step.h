// Runs a matmul or conv2d step over int8: x is quantised once, then multiplied.
#pragma once

#include "native/cpu/planned_step.h"

namespace irodori::cpu {

class Int8Step final : public PlannedStep {
 public:
  // `args` has the shape, as for GemmStep.
  Int8Step(const PlanContext& context, const Step& step, const GemmArgs& args);
  Status Execute(Run& run) const override;

 private:
  Status PlanQuantize(Run& run, QuantizeArgs& args) const;

  Int8Args args_;
  QuantizeArgs quantize_;
  uint32_t x_;
  FinishPlan finish_;
  GemmTile tile_;
};

}  // namespace irodori::cpu
