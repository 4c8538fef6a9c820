// The rules a decoded Program must obey beyond its form.
#pragma once

#include "native/core/program.h"
#include "native/core/status.h"

namespace irodori {

// Buffer table: element counts, pitches, arena ranges, views, and the ordinals of ports and
// parameters.
Status VerifyBuffers(const Program& program);

// One step against its kernel's rule: dtypes and shapes of operands and output, attributes,
// epilogue operands. `program` passed VerifyBuffers and the step's indices are in range.
Status VerifyStep(const Program& program, size_t step);

// Order and memory: every read was written before, no two live arena buffers overlap, steps write
// only where they may, outputs are written. `program` passed VerifyBuffers and VerifyStep.
Status VerifyDataflow(const Program& program, AbortFlag abort);

// `program(name): step 12 matmul(blocks.0.attn.to_q)`, for messages.
std::string StepPlace(const Program& program, size_t step);

// How a kernel and an operand of messages are called.
std::string_view KernelText(Kernel kernel);
std::string_view EpilogueText(Epilogue op);
std::string_view DTypeText(DType dtype);
std::string_view PackingText(Packing packing);

inline bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}
inline bool IsId(DType dtype) { return dtype == DType::kI32 || dtype == DType::kI64; }

}  // namespace irodori
