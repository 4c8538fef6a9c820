// matmul: x [M, K] · weight [N, K]' + bias as the matrix product with one stretch of K per row.
#include "native/cpu/gemm/gemm_step.h"
#include "native/cpu/gemm/int8_step.h"
#include "native/cpu/gemm/strassen_step.h"

namespace irodori::cpu {

Result<StepPlan> PlanMatmul(const PlanContext& context, const Step& step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  GemmArgs args;
  args.rows = x.vectors();
  args.k = x.columns();
  args.n = context.program.buffers[step.output].columns();
  args.channels = args.k;
  args.k_block =
      GemmKBlock(args.k, static_cast<int64_t>(step.attrs[0]), static_cast<int64_t>(step.attrs[1]));
  if (step.attrs[2] != 0) return StepPlan(std::make_unique<StrassenStep>(context, step, args));
  if (step.attrs[3] != 0) return StepPlan(std::make_unique<Int8Step>(context, step, args));
  return StepPlan(std::make_unique<GemmStep>(context, step, args));
}

}  // namespace irodori::cpu
