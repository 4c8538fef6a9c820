// A conv2d step through Winograd's tiles: planned when a program is bound, run once, or once for
// each parity of the pixels of an upsampled picture.
#pragma once

#include "native/cpu/gemm/winograd.h"
#include "native/cpu/planned_step.h"

namespace irodori::cpu {

class WinogradStep final : public PlannedStep {
 public:
  WinogradStep(const PlanContext& context, const Step& step);
  Status Execute(Run& run) const override;

 private:
  WinogradArgs args_;
  int64_t parities_;
  uint32_t x_;
  FinishPlan finish_;
  std::vector<std::byte> zeros_;
};

}  // namespace irodori::cpu
