// attention: lengths of the rows are read and checked first, then (row, head, block of queries) go
// to the threads.
#include <algorithm>

#include "native/cpu/planned_step.h"

namespace irodori::cpu {
namespace {

// Queries per job, at most: scores of a key block and the outputs stay in L1 and L2, and packing
// them is amortised over all keys. Part of no reduction.
constexpr int64_t kQueryBlock = 64;

class AttentionStep final : public PlannedStep {
 public:
  AttentionStep(const PlanContext& context, const Step& step, const AttentionArgs& args)
      : args_(args), operands_(step.operands), at_(step.at), finish_(context, step) {}

  Status Execute(Run& run) const override {
    AttentionArgs args = args_;
    args.batch = run.rows();
    args.q.rows = run.source(static_cast<uint32_t>(operands_[0]));
    args.k.rows = run.source(static_cast<uint32_t>(operands_[1]));
    args.v.rows = run.source(static_cast<uint32_t>(operands_[2]));
    if (operands_[3] >= 0) {
      std::vector<int64_t>& lengths = run.lane().lengths;
      lengths.clear();
      for (int64_t row = 0; row < args.batch; ++row) {
        const Result<int64_t> length =
            ReadKvLength(run.operand(static_cast<uint32_t>(operands_[3]), row), args.keys, at_);
        IRODORI_RETURN_IF_ERROR(length.status());
        lengths.push_back(length.value());
      }
      args.kv_lengths = lengths.data();
    }
    args.finish = finish_.Resolve(run);
    const int64_t blocks = args.batch * args.heads * args.query_blocks;
    const int64_t work = args.batch * args.heads * args.queries *
                         (2 * args.keys * (args.head_dim + 8) + finish_.work() * args.head_dim);
    const KernelTable& kernels = run.kernels();
    return run.ForBlocks(blocks, work, kernels.attention_scratch(args), kernels.attention, args);
  }

 private:
  AttentionArgs args_;
  std::vector<int32_t> operands_;
  std::string at_;
  FinishPlan finish_;
};

AttentionOperand OperandOf(const BufferSpec& buffer) { return {{}, buffer.dtype, buffer.pitch}; }

}  // namespace

Result<StepPlan> PlanAttention(const PlanContext& context, const Step& step) {
  const BufferSpec& q = context.buffer(step.operands[0]);
  const BufferSpec& k = context.buffer(step.operands[1]);
  AttentionArgs args;
  args.q = OperandOf(q);
  args.k = OperandOf(k);
  args.v = OperandOf(context.buffer(step.operands[2]));
  args.heads = static_cast<int64_t>(step.attrs[0]);
  args.head_dim = q.columns() / args.heads;
  args.queries = q.vectors();
  args.keys = k.vectors();
  args.causal = step.attrs[1] == 1;
  args.scale = static_cast<float>(step.attrs[2]);
  args.key_block = static_cast<int64_t>(step.attrs[3]);
  args.query_block = std::min(kQueryBlock, std::max<int64_t>(args.queries, 1));
  args.query_blocks = (args.queries + args.query_block - 1) / args.query_block;
  return StepPlan(std::make_unique<AttentionStep>(context, step, args));
}

}  // namespace irodori::cpu
