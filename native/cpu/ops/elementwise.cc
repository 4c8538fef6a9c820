// elementwise: x through the epilogue; integers are copied, or become real numbers.
#include <algorithm>
#include <cstring>

#include "native/cpu/ops/rows_step.h"

namespace irodori::cpu {
namespace {

int64_t ReadInteger(const std::byte* at, DType dtype) {
  if (dtype == DType::kU8) return static_cast<int64_t>(*reinterpret_cast<const uint8_t*>(at));
  if (dtype == DType::kI32) return *reinterpret_cast<const int32_t*>(at);
  return *reinterpret_cast<const int64_t*>(at);
}

// Saturates.
void WriteInteger(std::byte* at, DType dtype, int64_t value) {
  if (dtype == DType::kU8) {
    *reinterpret_cast<uint8_t*>(at) = static_cast<uint8_t>(std::clamp<int64_t>(value, 0, 255));
  } else if (dtype == DType::kI32) {
    *reinterpret_cast<int32_t*>(at) =
        static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
  } else {
    *reinterpret_cast<int64_t*>(at) = value;
  }
}

// Integers to integers; a few ids or lengths, on the calling thread.
class IntegerCopyStep final : public PlannedStep {
 public:
  explicit IntegerCopyStep(const Step& step)
      : x_(static_cast<uint32_t>(step.operands[0])), out_(step.output) {}

  Status Execute(Run& run) const override {
    for (int64_t row = 0; row < run.rows(); ++row) {
      const OperandRow x = run.operand(x_, row);
      const OperandRow out = run.operand(out_, row);
      const int64_t x_bytes = DTypeBytes(x.dtype);
      const int64_t out_bytes = DTypeBytes(out.dtype);
      for (int64_t m = 0; m < x.vectors; ++m) {
        for (int64_t n = 0; n < x.columns; ++n) {
          WriteInteger(out.data + (m * out.pitch + n) * out_bytes, out.dtype,
                       ReadInteger(x.data + (m * x.pitch + n) * x_bytes, x.dtype));
        }
      }
    }
    return Status::Ok();
  }

 private:
  uint32_t x_, out_;
};

bool IsReal(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

}  // namespace

Result<StepPlan> PlanElementwise(const PlanContext& context, const Step& step) {
  if (!IsReal(context.program.buffers[step.output].dtype)) {
    return StepPlan(std::make_unique<IntegerCopyStep>(step));
  }
  auto plan = std::make_unique<RowsStep>(context, step, context.kernels.elementwise, 0.0f, 0,
                                         FinishPlan(context, step));
  plan->AllowColumnBlocks();
  return StepPlan(std::move(plan));
}

}  // namespace irodori::cpu
