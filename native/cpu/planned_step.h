// A step resolved when a program is bound: everything that does not depend on the run is already in
// its Args.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "native/core/program.h"
#include "native/cpu/pack.h"
#include "native/cpu/run.h"

namespace irodori::cpu {

class PlannedStep {
 public:
  virtual ~PlannedStep() = default;
  virtual Status Execute(Run& run) const = 0;
};

using StepPlan = std::unique_ptr<PlannedStep>;

// What planning looks at. Lends everything.
struct PlanContext {
  const Program& program;
  const KernelTable& kernels;
  std::span<const std::shared_ptr<CpuPack>> packs;

  const BufferSpec& buffer(int32_t index) const {
    return program.buffers[static_cast<size_t>(index)];
  }
  const CpuPack& pack(int32_t buffer_index) const { return *packs[buffer(buffer_index).index]; }
  // Whether the product of x and a pack goes through matrix tiles.
  bool takes_tiles(const BufferSpec& x, const CpuPack& weights) const {
    return kernels.gemm_bf16 != nullptr && x.dtype == DType::kBF16 &&
           weights.spec().dtype == DType::kBF16;
  }
};

// The end of every step: its output, bias or affine weights, epilogue.
class FinishPlan {
 public:
  FinishPlan(const PlanContext& context, const Step& step);

  // A per-channel op on a buffer, ahead of the step's own epilogue; in call order.
  void Prepend(const PlanContext& context, Epilogue op, int32_t buffer);

  // Multiplies every output with its scale: of a pack in i8, whose integers the product sums up.
  void PrependScales(const float* scales);

  // The same for a run; valid until the next call on the same lane.
  Finish Resolve(Run& run) const;

  const BufferSpec& out() const { return out_; }
  size_t count() const { return links_.size(); }
  // Whether out and every operand are one value, or have an element for each of out's without gaps:
  // then the result may be seen as one long vector.
  bool flat() const;
  // Multiply-adds per element, roughly.
  int64_t work() const { return 4 + 8 * static_cast<int64_t>(links_.size()); }

 private:
  struct Link {
    EpilogueStep step;
    int32_t buffer;
  };
  Link LinkOf(const PlanContext& context, const EpilogueOp& op) const;

  BufferSpec out_;
  uint32_t out_buffer_;
  size_t prepended_ = 0;
  std::vector<Link> links_;
};

Result<StepPlan> PlanMatmul(const PlanContext& context, const Step& step);
Result<StepPlan> PlanConv2d(const PlanContext& context, const Step& step);
Result<StepPlan> PlanAttention(const PlanContext& context, const Step& step);
Result<StepPlan> PlanLayerNorm(const PlanContext& context, const Step& step);
Result<StepPlan> PlanGroupNorm(const PlanContext& context, const Step& step);
Result<StepPlan> PlanRmsNorm(const PlanContext& context, const Step& step);
Result<StepPlan> PlanSoftmax(const PlanContext& context, const Step& step);
Result<StepPlan> PlanElementwise(const PlanContext& context, const Step& step);
Result<StepPlan> PlanEmbedding(const PlanContext& context, const Step& step);
Result<StepPlan> PlanStridedCopy(const PlanContext& context, const Step& step);
Result<StepPlan> PlanResizeNearest(const PlanContext& context, const Step& step);
Result<StepPlan> PlanResizeBilinear(const PlanContext& context, const Step& step);
Result<StepPlan> PlanTimestepEmbedding(const PlanContext& context, const Step& step);

}  // namespace irodori::cpu
