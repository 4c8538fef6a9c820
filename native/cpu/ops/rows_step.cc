// Runs the kernels that work vector by vector.
#include "native/cpu/ops/rows_step.h"

#include <algorithm>
#include <utility>

#include "native/core/rounding.h"

namespace irodori::cpu {
namespace {

// Columns of an elementwise block: the float32 run of it stays in L1.
constexpr int64_t kColumnBlock = 2048;
// Elements of a job, at least: a few microseconds.
constexpr int64_t kJobElements = 8192;

}  // namespace

RowsStep::RowsStep(const PlanContext& context, const Step& step, BlockKernel<RowsArgs> kernel,
                   float eps, int64_t cost, FinishPlan finish)
    : x_(static_cast<uint32_t>(step.operands[0])),
      finish_(std::move(finish)),
      kernel_(kernel),
      cost_(cost) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  args_.x_dtype = x.dtype;
  args_.x_pitch = x.pitch;
  args_.rows = x.vectors();
  args_.columns = x.columns();
  args_.eps = eps;
  args_.column_block = args_.columns;
  args_.column_blocks = 1;
}

void RowsStep::AllowColumnBlocks() {
  if (finish_.flat() && (args_.x_pitch == args_.columns || args_.rows == 1)) {
    args_.columns *= args_.rows;
    args_.rows = 1;
  }
  args_.column_block = std::min(args_.columns, kColumnBlock);
  args_.column_blocks = args_.columns == 0 ? 0 : CeilDiv(args_.columns, args_.column_block);
}

Status RowsStep::Execute(Run& run) const {
  if (args_.rows == 0 || args_.columns == 0) return Status::Ok();
  RowsArgs args = args_;
  args.x = run.source(x_);
  args.batch = run.rows();
  args.finish = finish_.Resolve(run);
  args.row_block = std::clamp<int64_t>(kJobElements / args.column_block, 1, args.rows);
  args.row_blocks = CeilDiv(args.rows, args.row_block);
  const int64_t work = args.batch * args.rows * args.columns * (cost_ + finish_.work());
  return run.ForBlocks(args.batch * args.row_blocks * args.column_blocks, work,
                       run.kernels().rows_scratch(args), kernel_, args);
}

}  // namespace irodori::cpu
