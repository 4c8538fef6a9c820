// embedding: every id is checked first, then rows of the table are copied.
#include <algorithm>

#include "native/cpu/ops/copy_vectors.h"

namespace irodori::cpu {
namespace {

class EmbeddingStep final : public PlannedStep {
 public:
  EmbeddingStep(const PlanContext& context, const Step& step)
      : ids_(static_cast<uint32_t>(step.operands[0])),
        table_(static_cast<uint32_t>(step.operands[1])),
        table_spec_(context.buffer(step.operands[1])),
        at_(step.at),
        finish_(context, step) {}

  Status Execute(Run& run) const override {
    const int64_t count = finish_.out().vectors();
    const int64_t columns = finish_.out().columns();
    std::vector<int64_t>& ids = run.lane().lengths;
    ids.clear();
    for (int64_t row = 0; row < run.rows(); ++row) {
      const OperandRow operand = run.operand(ids_, row);
      for (int64_t i = 0; i < count; ++i) {
        const Result<int64_t> id = ReadId(operand, i, table_spec_.shape[0], at_);
        IRODORI_RETURN_IF_ERROR(id.status());
        ids.push_back(id.value());
      }
    }
    CopyVectors copy{run.source(table_),   table_spec_.dtype,
                     table_spec_.pitch,    columns,
                     finish_.Resolve(run), false};
    copy.plain = finish_.count() == 0 && copy.dtype == copy.finish.dtype;
    const KernelTable& kernels = run.kernels();
    return run.ForBlocks(run.rows() * count, run.rows() * count * columns * finish_.work(),
                         CopyVectorsScratch(columns), [&](int64_t block, std::byte* scratch) {
                           CopyVector(kernels, copy, block / count, ids[static_cast<size_t>(block)],
                                      block % count, scratch);
                         });
  }

 private:
  uint32_t ids_, table_;
  BufferSpec table_spec_;
  std::string at_;
  FinishPlan finish_;
};

}  // namespace

Result<StepPlan> PlanEmbedding(const PlanContext& context, const Step& step) {
  return StepPlan(std::make_unique<EmbeddingStep>(context, step));
}

}  // namespace irodori::cpu
