// timestep_embedding: a sinusoid of t, angle by angle as PyTorch computes it in float32.
//
//   f_i = exp(-ln(maxPeriod) i / (dim / 2 - shift)),  angle_i = scale (t f_i)      out = [sin,
//   cos], or [cos, sin]
//
// Every operation is rounded to float32 like the framework's, so that the angles, up to 1000 and
// more, are the same; exp, sin and cos are taken in float64 and rounded once. An odd dim ends with
// a zero.
#include <cmath>

#include "native/cpu/planned_step.h"

namespace irodori::cpu {
namespace {

class TimestepEmbeddingStep final : public PlannedStep {
 public:
  TimestepEmbeddingStep(const PlanContext& context, const Step& step)
      : t_(static_cast<uint32_t>(step.operands[0])),
        flip_(step.attrs[0] == 1),
        scale_(static_cast<float>(step.attrs[2])),
        finish_(context, step) {
    const int64_t half = finish_.out().columns() / 2;
    const float log_period = static_cast<float>(-std::log(step.attrs[3]));
    const float span = static_cast<float>(static_cast<double>(half) - step.attrs[1]);
    for (int64_t i = 0; i < half; ++i) {
      const float exponent = log_period * static_cast<float>(i) / span;
      frequencies_.push_back(static_cast<float>(std::exp(static_cast<double>(exponent))));
    }
  }

  Status Execute(Run& run) const override {
    const auto half = static_cast<int64_t>(frequencies_.size());
    const int64_t columns = finish_.out().columns();
    const KernelTable& kernels = run.kernels();
    const Finish finish = finish_.Resolve(run);
    return run.ForBlocks(run.rows(), run.rows() * columns * 40, (columns + 16) * 4,
                         [&](int64_t row, std::byte* scratch) {
                           float* values = reinterpret_cast<float*>(scratch);
                           float t[17];
                           const OperandRow operand = run.operand(t_, row);
                           kernels.load_run(t, operand.data, operand.dtype, 0, 1);
                           values[columns - 1] = 0;
                           for (int64_t i = 0; i < half; ++i) {
                             const double angle =
                                 scale_ * (t[0] * frequencies_[static_cast<size_t>(i)]);
                             const auto sine = static_cast<float>(std::sin(angle));
                             const auto cosine = static_cast<float>(std::cos(angle));
                             values[i] = flip_ ? cosine : sine;
                             values[half + i] = flip_ ? sine : cosine;
                           }
                           kernels.finish_run(finish, values, row, 0, 0, columns);
                         });
  }

 private:
  uint32_t t_;
  bool flip_;
  float scale_;
  FinishPlan finish_;
  std::vector<float> frequencies_;
};

}  // namespace

Result<StepPlan> PlanTimestepEmbedding(const PlanContext& context, const Step& step) {
  return StepPlan(std::make_unique<TimestepEmbeddingStep>(context, step));
}

}  // namespace irodori::cpu
