// y[h, w, o] = Σ_{i, j, c} x[(h·strideH + i - padTop) / up, (w·strideW + j - padLeft) / up, c] ·
// weight[o, i, j, c] + bias[o], zero outside of x, up = upsample; whatever the
// tile. Of x quantised as a whole where asked.
#include "native/cpu/reference/kernels.h"
#include "native/cpu/reference/quantized.h"

namespace irodori::reference {

Status Conv2d(const KernelArgs& args, Values& y) {
  const int64_t sums = args.integer(12);
  const bool quantize = sums != 0;
  const Values quantized =
      quantize ? Quantized(*args.operands[0], Elements(args.operands[0]->shape), sums) : Values{};
  const Values& x = quantize ? quantized : *args.operands[0];  // [H, W, C]
  const Values& weight = *args.operands[1];                    // [O, kh, kw, C]
  const Values* bias = args.operands[2];                       // [O]
  const int64_t H = x.shape[0], W = x.shape[1], C = x.shape[2];
  const int64_t kernel_h = args.integer(0), kernel_w = args.integer(1);
  const int64_t stride_h = args.integer(2), stride_w = args.integer(3);
  const int64_t pad_top = args.integer(4), pad_left = args.integer(5);
  const int64_t upsample = args.integer(10);
  const int64_t out_h = y.shape[0], out_w = y.shape[1], O = y.shape[2];
  for (int64_t h = 0; h < out_h; ++h) {
    for (int64_t w = 0; w < out_w; ++w) {
      IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
      for (int64_t o = 0; o < O; ++o) {
        double sum = bias == nullptr ? 0 : bias->data[o];
        for (int64_t i = 0; i < kernel_h; ++i) {
          const int64_t source_h = h * stride_h + i - pad_top;
          if (source_h < 0 || source_h >= H * upsample) continue;
          for (int64_t j = 0; j < kernel_w; ++j) {
            const int64_t source_w = w * stride_w + j - pad_left;
            if (source_w < 0 || source_w >= W * upsample) continue;
            const double* pixel = &x.data[(source_h / upsample * W + source_w / upsample) * C];
            const double* tap = &weight.data[((o * kernel_h + i) * kernel_w + j) * C];
            for (int64_t c = 0; c < C; ++c) sum += pixel[c] * tap[c];
          }
        }
        y.data[(h * out_w + w) * O + o] = sum;
      }
    }
  }
  return Status::Ok();
}

}  // namespace irodori::reference
