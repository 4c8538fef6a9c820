// The kernels of the reference backend: one function per entry of kernels.def, obvious loops in
// float64.
//
// A kernel reads operands widened to float64 and fills `y`, which has the output's shape and starts
// as NaN. It trusts the Program's verifier for shapes and attributes; a Status is for what only a
// run can know, such as ids out of range, and that it was aborted: kernels look at every row of
// their output, convolutions at every pixel.
#pragma once

#include <array>
#include <span>

#include "native/core/abort.h"
#include "native/core/program.h"
#include "native/core/status.h"
#include "native/cpu/reference/values.h"

namespace irodori::reference {

struct KernelArgs {
  const Step& step;
  std::array<const Values*, 4> operands;  // null: left out
  std::array<OperandRow, 4> rows;         // the same as stored
  AbortFlag abort = nullptr;

  double attr(size_t i) const { return step.attrs[i]; }
  int64_t integer(size_t i) const { return static_cast<int64_t>(step.attrs[i]); }
};

// In the order of kernels.def.
Status Matmul(const KernelArgs& args, Values& y);
Status Conv2d(const KernelArgs& args, Values& y);
Status Attention(const KernelArgs& args, Values& y);
Status LayerNorm(const KernelArgs& args, Values& y);
Status GroupNorm(const KernelArgs& args, Values& y);
Status RmsNorm(const KernelArgs& args, Values& y);
Status Softmax(const KernelArgs& args, Values& y);
Status Elementwise(const KernelArgs& args, Values& y);
Status Embedding(const KernelArgs& args, Values& y);
Status StridedCopy(const KernelArgs& args, Values& y);
Status ResizeNearest(const KernelArgs& args, Values& y);
Status ResizeBilinear(const KernelArgs& args, Values& y);
Status TimestepEmbedding(const KernelArgs& args, Values& y);

// Applies one epilogue op to every element of y; `operand` is null for ops without one.
void ApplyEpilogue(const EpilogueOp& op, const Values* operand, Values& y);

}  // namespace irodori::reference
