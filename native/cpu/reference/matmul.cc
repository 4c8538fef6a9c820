// y[m, n] = Σ_k x[m, k] · weight[n, k] + bias[n], of x quantised vector by vector where asked.
#include "native/cpu/reference/kernels.h"
#include "native/cpu/reference/quantized.h"

namespace irodori::reference {

Status Matmul(const KernelArgs& args, Values& y) {
  const int64_t sums = args.integer(3);
  const bool quantize = sums != 0;
  const Values quantized =
      quantize ? Quantized(*args.operands[0], args.operands[0]->columns(), sums) : Values{};
  const Values& x = quantize ? quantized : *args.operands[0];  // [M, K]
  const Values& weight = *args.operands[1];                    // [N, K]
  const Values* bias = args.operands[2];                       // [N]
  const int64_t M = x.vectors(), N = y.columns(), K = x.columns();
  for (int64_t m = 0; m < M; ++m) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    for (int64_t n = 0; n < N; ++n) {
      double sum = bias == nullptr ? 0 : bias->data[n];
      for (int64_t k = 0; k < K; ++k) sum += x.data[m * K + k] * weight.data[n * K + k];
      y.data[m * N + n] = sum;
    }
  }
  return Status::Ok();
}

}  // namespace irodori::reference
