// Per head: p[l, s] = softmax_s(scale · Σ_k q[l, k] · key[s, k]) over keys s < kvLength (causal: s
// <= l), then y[l, k] = Σ_s p[l, s] · v[s, k]. Over no keys y is 0.
#include <algorithm>
#include <cmath>
#include <vector>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status Attention(const KernelArgs& args, Values& y) {
  const Values& q = *args.operands[0];  // [L, N·K]
  const Values& k = *args.operands[1];  // [S, N·K]
  const Values& v = *args.operands[2];  // [S, N·K]
  const int64_t heads = args.integer(0);
  const bool causal = args.integer(1) == 1;
  const double scale = args.attr(2);
  const int64_t L = q.vectors(), D = q.columns(), K = D / heads;
  int64_t S = k.vectors();
  if (args.operands[3] != nullptr) {
    Result<int64_t> length = ReadKvLength(args.rows[3], S, args.step.at);
    IRODORI_RETURN_IF_ERROR(length.status());
    S = length.value();
  }
  std::vector<double> p(static_cast<size_t>(S));
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t l = 0; l < L; ++l) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
      const int64_t keys = causal ? std::min(S, l + 1) : S;
      double largest = -INFINITY;
      for (int64_t s = 0; s < keys; ++s) {
        double dot = 0;
        for (int64_t i = 0; i < K; ++i)
          dot += q.data[l * D + head * K + i] * k.data[s * D + head * K + i];
        p[s] = dot * scale;
        largest = std::max(largest, p[s]);
      }
      double total = 0;
      for (int64_t s = 0; s < keys; ++s) {
        p[s] = std::exp(p[s] - largest);
        total += p[s];
      }
      for (int64_t i = 0; i < K; ++i) {
        double sum = 0;
        for (int64_t s = 0; s < keys; ++s) sum += p[s] * v.data[s * D + head * K + i];
        y.data[l * D + head * K + i] = keys == 0 ? 0 : sum / total;
      }
    }
  }
  return Status::Ok();
}

}  // namespace irodori::reference
