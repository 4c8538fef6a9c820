// Convolution to very few outputs, the last of a decoder for instance: Args and rounding. Kernel in
// narrow_conv_block.h.
//
// A panel of the matrix product is as wide as a vector, and 3 outputs would fill a fifth of one.
// Here lanes are channels of the input instead: each output of a pixel is a vector of partial sums,
// lane l over the channels c = l (mod lanes) of every tap, and their sum is taken at the end.
//
// Rounding: a lane is one chain of FMAs over taps, then channels; lanes are added pairwise,
// neighbours first. Nothing of it depends on the batch, on edges or on threads.
#pragma once

#include "native/cpu/args.h"

namespace irodori::cpu {

inline constexpr int64_t kNarrowOutputs = 4;  // at most

struct NarrowConvArgs {
  RowSource x;  // [in_h, in_w, channels], pixels x_pitch elements apart
  DType x_dtype = DType::kF32;
  int64_t x_pitch = 0;
  int64_t in_h = 0, in_w = 0, channels = 0;
  int64_t out_h = 0, out_w = 0, n = 0;
  int64_t kernel_h = 0, kernel_w = 0;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  const float* weights = nullptr;    // [kernel_h, kernel_w, n, weight_pitch], zeros past `channels`
  int64_t weight_pitch = 0;          // channels, rounded up to whole vectors
  const std::byte* zeros = nullptr;  // `channels` zeros of x_dtype
  Finish finish;
  // Job: block b is row b % out_h of the result of batch row b / out_h.
};

}  // namespace irodori::cpu
