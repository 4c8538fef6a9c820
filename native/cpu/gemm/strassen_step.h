// Runs a matmul step by Strassen's seven products: the sums of x first, then the products.
#pragma once

#include "native/cpu/planned_step.h"

namespace irodori::cpu {

class StrassenStep final : public PlannedStep {
 public:
  // `args` has the shape, as for GemmStep.
  StrassenStep(const PlanContext& context, const Step& step, const GemmArgs& args);
  Status Execute(Run& run) const override;

 private:
  Status TakeTurn(Run& run, StrassenSumsArgs& sums, StrassenArgs& args) const;

  StrassenArgs args_;
  StrassenSumsArgs sums_;
  uint32_t x_;
  FinishPlan finish_;
  GemmTile tile_;
};

}  // namespace irodori::cpu
