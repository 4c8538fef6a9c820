// strided_copy: out[i0, i1, ...] = x[offset + i0 s0 + i1 s1 + ...] over elements of the dense x:
// transposes, patches, slices. Axes are merged when a program is bound, so that runs are as long as
// they can be.
#include <algorithm>
#include <array>
#include <cstring>

#include "native/core/rounding.h"
#include "native/cpu/planned_step.h"

namespace irodori::cpu {
namespace {

// Elements of a job: a few microseconds.
constexpr int64_t kJobElements = 16384;

// Axes from the innermost on; at least one.
struct Axes {
  int64_t count = 0;
  int64_t offset = 0;
  std::array<int64_t, 8> sizes{};
  std::array<int64_t, 8> strides{};
};

Axes MergedAxes(const Step& step) {
  Axes axes;
  axes.offset = static_cast<int64_t>(step.attrs[0]);
  const auto rank = static_cast<size_t>(step.attrs[1]);
  for (size_t axis = rank; axis-- > 0;) {
    const auto size = static_cast<int64_t>(step.attrs[2 + axis]);
    const auto stride = static_cast<int64_t>(step.attrs[2 + rank + axis]);
    if (size == 1) continue;
    const auto last = static_cast<size_t>(axes.count) - 1;
    if (axes.count > 0 && stride == axes.sizes[last] * axes.strides[last]) {
      axes.sizes[last] *= size;
    } else {
      axes.sizes[static_cast<size_t>(axes.count)] = size;
      axes.strides[static_cast<size_t>(axes.count)] = stride;
      ++axes.count;
    }
  }
  if (axes.count == 0) {
    axes.count = 1;
    axes.sizes[0] = 1;
    axes.strides[0] = 1;
  }
  return axes;
}

template <typename T>
void Gather(const Axes& axes, const T* x, int64_t first, int64_t count, T* out) {
  std::array<int64_t, 8> at{};
  int64_t from = axes.offset;
  for (size_t axis = 0; axis < static_cast<size_t>(axes.count); ++axis) {
    at[axis] = first % axes.sizes[axis];
    first /= axes.sizes[axis];
    from += at[axis] * axes.strides[axis];
  }
  const int64_t stride = axes.strides[0];
  while (count > 0) {
    const int64_t length = std::min(axes.sizes[0] - at[0], count);
    if (stride == 1) {
      std::memcpy(out, x + from, static_cast<size_t>(length) * sizeof(T));
    } else {
      for (int64_t i = 0; i < length; ++i) out[i] = x[from + i * stride];
    }
    out += length;
    count -= length;
    // Carry into the outer axes.
    from -= at[0] * stride;
    at[0] = 0;
    for (size_t axis = 1; axis < static_cast<size_t>(axes.count); ++axis) {
      from += axes.strides[axis];
      if (++at[axis] < axes.sizes[axis]) break;
      from -= axes.sizes[axis] * axes.strides[axis];
      at[axis] = 0;
    }
  }
}

void GatherBytes(const Axes& axes, int64_t element_bytes, const std::byte* x, int64_t first,
                 int64_t count, std::byte* out) {
  if (element_bytes == 4) {
    Gather(axes, reinterpret_cast<const uint32_t*>(x), first, count,
           reinterpret_cast<uint32_t*>(out));
  } else if (element_bytes == 2) {
    Gather(axes, reinterpret_cast<const uint16_t*>(x), first, count,
           reinterpret_cast<uint16_t*>(out));
  } else if (element_bytes == 8) {
    Gather(axes, reinterpret_cast<const uint64_t*>(x), first, count,
           reinterpret_cast<uint64_t*>(out));
  } else {
    Gather(axes, reinterpret_cast<const uint8_t*>(x), first, count,
           reinterpret_cast<uint8_t*>(out));
  }
}

class StridedCopyStep final : public PlannedStep {
 public:
  StridedCopyStep(const PlanContext& context, const Step& step)
      : x_(static_cast<uint32_t>(step.operands[0])),
        dtype_(context.buffer(step.operands[0]).dtype),
        axes_(MergedAxes(step)),
        finish_(context, step) {}

  // Dense results without an epilogue are cut into equal runs of elements, others into runs of
  // vectors.
  Status Execute(Run& run) const override {
    const BufferSpec& out = finish_.out();
    const Finish finish = finish_.Resolve(run);
    const RowSource x = run.source(x_);
    const int64_t bytes = DTypeBytes(dtype_);
    const bool plain = finish_.count() == 0 && dtype_ == out.dtype;
    const bool dense = plain && (out.pitch == out.columns() || out.vectors() == 1);
    const int64_t columns = dense ? out.vectors() * out.columns() : out.columns();
    const int64_t rows = dense ? 1 : out.vectors();
    if (rows == 0 || columns == 0) return Status::Ok();
    const int64_t column_block = dense ? std::min(columns, kJobElements) : columns;
    const int64_t column_blocks = CeilDiv(columns, column_block);
    const int64_t row_block = std::clamp<int64_t>(kJobElements / columns, 1, rows);
    const int64_t row_blocks = CeilDiv(rows, row_block);
    const int64_t per_row = row_blocks * column_blocks;
    const int64_t raw_bytes = RoundUp(columns * bytes, 64);
    const KernelTable& kernels = run.kernels();
    return run.ForBlocks(
        run.rows() * per_row, run.rows() * rows * columns * finish_.work(),
        dense ? 64 : raw_bytes + (columns + 16) * 4, [&](int64_t block, std::byte* scratch) {
          const int64_t row = block / per_row;
          const std::byte* from = RowAt(x, row);
          if (dense) {
            const int64_t n0 = block % per_row * column_block;
            GatherBytes(axes_, bytes, from, n0, std::min(column_block, columns - n0),
                        RowAt(finish.out, row) + n0 * bytes);
            return;
          }
          const int64_t m0 = block % per_row * row_block;
          float* values = reinterpret_cast<float*>(scratch + raw_bytes);
          for (int64_t m = m0; m < std::min(m0 + row_block, rows); ++m) {
            if (plain) {
              GatherBytes(axes_, bytes, from, m * columns, columns,
                          RowAt(finish.out, row) + m * out.pitch * bytes);
              continue;
            }
            GatherBytes(axes_, bytes, from, m * columns, columns, scratch);
            kernels.load_run(values, scratch, dtype_, 0, columns);
            kernels.finish_run(finish, values, row, m, 0, columns);
          }
        });
  }

 private:
  uint32_t x_;
  DType dtype_;
  Axes axes_;
  FinishPlan finish_;
};

}  // namespace

Result<StepPlan> PlanStridedCopy(const PlanContext& context, const Step& step) {
  return StepPlan(std::make_unique<StridedCopyStep>(context, step));
}

}  // namespace irodori::cpu
