// y = (x - mean) / sqrt(var + eps) · weight[c] + bias[c], mean and biased variance over all pixels
// and the channels of a group.
#include <cmath>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status GroupNorm(const KernelArgs& args, Values& y) {
  const Values& x = *args.operands[0];      // [H·W, C]
  const Values* weight = args.operands[1];  // [C]
  const Values* bias = args.operands[2];    // [C]
  const int64_t pixels = x.vectors(), C = x.columns();
  const int64_t groups = args.integer(0), size = C / groups;
  const auto count = static_cast<double>(pixels * size);
  for (int64_t first = 0; first < C; first += size) {
    double sum = 0;
    for (int64_t m = 0; m < pixels; ++m) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
      for (int64_t c = first; c < first + size; ++c) sum += x.data[m * C + c];
    }
    const double mean = sum / count;
    double squares = 0;
    for (int64_t m = 0; m < pixels; ++m) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
      for (int64_t c = first; c < first + size; ++c)
        squares += (x.data[m * C + c] - mean) * (x.data[m * C + c] - mean);
    }
    const double deviation = std::sqrt(squares / count + args.attr(1));
    for (int64_t m = 0; m < pixels; ++m) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
      for (int64_t c = first; c < first + size; ++c) {
        const double normal = (x.data[m * C + c] - mean) / deviation;
        y.data[m * C + c] = normal * (weight == nullptr ? 1 : weight->data[c]) +
                            (bias == nullptr ? 0 : bias->data[c]);
      }
    }
  }
  return Status::Ok();
}

}  // namespace irodori::reference
