// resize_bilinear of one family.
#pragma once

#include "native/cpu/finish.h"
#include "native/cpu/ops/resize_bilinear.h"

namespace irodori::cpu::IRODORI_FAMILY {

static inline int64_t ResizeBilinearScratchBytes(const ResizeBilinearArgs& args) {
  return 4 * RoundUp(args.channels + kRunSlack, 16) * static_cast<int64_t>(sizeof(float));
}

static inline void ResizeBilinearBlock(const ResizeBilinearArgs& args, int64_t block,
                                       std::byte* scratch) {
  const int64_t row = block / args.out_h;
  const int64_t i = block % args.out_h;
  const ResizeTap h = args.rows[i];
  const int64_t pitch = RoundUp(args.channels + kRunSlack, 16);
  float* corners = reinterpret_cast<float*>(scratch);
  const std::byte* x = RowAt(args.x, row);
  for (int64_t j = 0; j < args.out_w; ++j) {
    const ResizeTap w = args.columns[j];
    const int64_t pixels[4] = {h.first * args.in_w + w.first, h.first * args.in_w + w.second,
                               h.second * args.in_w + w.first, h.second * args.in_w + w.second};
    for (int64_t corner = 0; corner < 4; ++corner) {
      LoadRun(corners + corner * pitch, x, args.x_dtype, pixels[corner] * args.x_pitch,
              args.channels);
    }
    for (int64_t c = 0; c < args.channels; c += kLanes) {
      const float* at = corners + c;
      const F w0 = Splat(w.first_weight), w1 = Splat(w.second_weight);
      const F top = w0 * Load(at) + w1 * Load(at + pitch);
      const F bottom = w0 * Load(at + 2 * pitch) + w1 * Load(at + 3 * pitch);
      Store(corners + c, Splat(h.first_weight) * top + Splat(h.second_weight) * bottom);
    }
    FinishRun(args.finish, corners, row, i * args.out_w + j, 0, args.channels);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
