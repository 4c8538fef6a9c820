// Plans and runs convolutions to very few outputs.
#pragma once

#include "native/cpu/planned_step.h"

namespace irodori::cpu {

class NarrowConvStep final : public PlannedStep {
 public:
  // Whether the step is one: at most kNarrowOutputs outputs, at least a vector of channels, one
  // sum, and no matrix tiles for it.
  static bool Takes(const PlanContext& context, const Step& step);

  NarrowConvStep(const PlanContext& context, const Step& step);
  Status Execute(Run& run) const override;

 private:
  NarrowConvArgs args_;
  uint32_t x_;
  FinishPlan finish_;
  std::vector<float> weights_;
  std::vector<std::byte> zeros_;
};

}  // namespace irodori::cpu
