// y = (x - mean(x)) / sqrt(var(x) + eps) · weight + bias over the last axis, biased variance.
#include <cmath>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status LayerNorm(const KernelArgs& args, Values& y) {
  const Values& x = *args.operands[0];      // [M, C]
  const Values* weight = args.operands[1];  // [C]
  const Values* bias = args.operands[2];    // [C]
  const int64_t M = x.vectors(), C = x.columns();
  for (int64_t m = 0; m < M; ++m) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    const double* row = &x.data[m * C];
    double sum = 0;
    for (int64_t c = 0; c < C; ++c) sum += row[c];
    const double mean = sum / static_cast<double>(C);
    double squares = 0;
    for (int64_t c = 0; c < C; ++c) squares += (row[c] - mean) * (row[c] - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(C) + args.attr(0));
    for (int64_t c = 0; c < C; ++c) {
      const double normal = (row[c] - mean) / deviation;
      y.data[m * C + c] = normal * (weight == nullptr ? 1 : weight->data[c]) +
                          (bias == nullptr ? 0 : bias->data[c]);
    }
  }
  return Status::Ok();
}

}  // namespace irodori::reference
