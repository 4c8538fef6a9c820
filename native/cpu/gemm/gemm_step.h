// What matmul and conv2d share when they are planned: weights, output, and the run of the matrix
// product; of an upsampled picture one run for each parity of the pixels of the result.
#pragma once

#include "native/cpu/planned_step.h"

namespace irodori::cpu {

class GemmStep final : public PlannedStep {
 public:
  // `args` has the shape and schedule; weights, types and the finish are taken from the step.
  GemmStep(const PlanContext& context, const Step& step, const GemmArgs& args);
  Status Execute(Run& run) const override;

 private:
  Status RunProduct(Run& run, GemmArgs& args) const;
  // Copies rows of x that are a crowded pitch apart, once for all blocks of outputs.
  Status SpreadRows(Run& run, GemmArgs& args) const;

  GemmArgs args_;
  int64_t parities_;  // products, over as many planes of the weights
  uint32_t x_;
  FinishPlan finish_;
  std::vector<std::byte> zeros_;
  bool spreads_;  // rows are read one by one, at a crowded pitch
  GemmTile tile_;
  BlockKernel<GemmArgs> kernel_;
  ScratchBytes<GemmArgs> scratch_;
};

}  // namespace irodori::cpu
