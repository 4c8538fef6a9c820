// y = x / sqrt(mean(x²) + eps) · weight over the last axis.
#include <cmath>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status RmsNorm(const KernelArgs& args, Values& y) {
  const Values& x = *args.operands[0];      // [M, C]
  const Values* weight = args.operands[1];  // [C]
  const int64_t M = x.vectors(), C = x.columns();
  for (int64_t m = 0; m < M; ++m) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    const double* row = &x.data[m * C];
    double squares = 0;
    for (int64_t c = 0; c < C; ++c) squares += row[c] * row[c];
    const double rms = std::sqrt(squares / static_cast<double>(C) + args.attr(0));
    for (int64_t c = 0; c < C; ++c)
      y.data[m * C + c] = row[c] / rms * (weight == nullptr ? 1 : weight->data[c]);
  }
  return Status::Ok();
}

}  // namespace irodori::reference
