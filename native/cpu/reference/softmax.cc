// y = exp(x - max(x)) / Σ exp(x - max(x)) over the last axis.
#include <algorithm>
#include <cmath>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status Softmax(const KernelArgs& args, Values& y) {
  const Values& x = *args.operands[0];  // [M, C]
  const int64_t M = x.vectors(), C = x.columns();
  for (int64_t m = 0; m < M; ++m) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    const double* row = &x.data[m * C];
    const double largest = *std::max_element(row, row + C);
    double total = 0;
    for (int64_t c = 0; c < C; ++c) total += std::exp(row[c] - largest);
    for (int64_t c = 0; c < C; ++c) y.data[m * C + c] = std::exp(row[c] - largest) / total;
  }
  return Status::Ok();
}

}  // namespace irodori::reference
