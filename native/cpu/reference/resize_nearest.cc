// y[i, j, c] = x[floor(i · H / H'), floor(j · W / W'), c]
#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status ResizeNearest(const KernelArgs& args, Values& y) {
  const Values& x = *args.operands[0];  // [H, W, C]
  const int64_t H = x.shape[0], W = x.shape[1], C = x.shape[2];
  const int64_t out_h = y.shape[0], out_w = y.shape[1];
  for (int64_t i = 0; i < out_h; ++i) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    for (int64_t j = 0; j < out_w; ++j) {
      const int64_t source = i * H / out_h * W + j * W / out_w;
      for (int64_t c = 0; c < C; ++c) y.data[(i * out_w + j) * C + c] = x.data[source * C + c];
    }
  }
  return Status::Ok();
}

}  // namespace irodori::reference
