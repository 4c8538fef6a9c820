// A row of pixels of a convolution to very few outputs, of one kernel family.
#pragma once

#include "native/cpu/finish.h"
#include "native/cpu/gemm/narrow_conv.h"

namespace irodori::cpu::IRODORI_FAMILY {

// Pixels at a time: as many as leave registers for a vector of each output's weights and one of x.
constexpr int NarrowPixels(int outputs) {
  constexpr int kRegisters = kLanes == 16 ? 32 : 16;
  constexpr int kMost = 6;
  const int fit = (kRegisters - outputs - 1) / outputs;
  return fit < kMost ? fit : kMost;
}

// Lane i is a[2 i] + a[2 i + 1] in the first half, and so of b in the second.
IRODORI_INLINE F PairSums(F a, F b) {
#if IRODORI_LANES == 16
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
         __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#elif IRODORI_LANES == 8
  return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14) +
         __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
#else
  return __builtin_shufflevector(a, b, 0, 2, 4, 6) + __builtin_shufflevector(a, b, 1, 3, 5, 7);
#endif
}

// Lane i is the sum of the lanes of v[i]; COUNT is at most kLanes.
template <int COUNT>
IRODORI_INLINE F SumOfEach(const F* v) {
  F level[COUNT + 1] = {};
#pragma GCC unroll 16
  for (int i = 0; i < COUNT; ++i) level[i] = v[i];
  int count = COUNT;
#pragma GCC unroll 4
  for (int width = kLanes; width > 1; width /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < (count + 1) / 2; ++i) {
      level[i] = PairSums(level[2 * i], 2 * i + 1 < count ? level[2 * i + 1] : F{});
    }
    count = (count + 1) / 2;
  }
  return level[0];
}

// sums[i] = the sum of the lanes of v[i]; whole vectors are written.
template <int COUNT>
IRODORI_INLINE void SumLanes(const F* v, float* sums) {
  if constexpr (COUNT > kLanes) {
    Store(sums, SumOfEach<kLanes>(v));
    SumLanes<COUNT - kLanes>(v + kLanes, sums + kLanes);
  } else {
    Store(sums, SumOfEach<COUNT>(v));
  }
}

template <int PIXELS, int N>
IRODORI_INLINE void AddProducts(F (&acc)[PIXELS * N], const F (&x)[PIXELS], const float* w,
                                int64_t pitch) {
  F b[N];
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) b[n] = Load(w + n * pitch);
#pragma GCC unroll 8
  for (int i = 0; i < PIXELS; ++i) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) acc[i * N + n] = Fma(x[i], b[n], acc[i * N + n]);
  }
}

// Floats of scratch: the results of a row of pixels, and an operand of as many.
IRODORI_INLINE int64_t RowFloats(const NarrowConvArgs& args) {
  return RoundUp((args.out_w + 8) * args.n + 2 * kLanes, 16);
}
static inline int64_t NarrowConvScratchBytes(const NarrowConvArgs& args) {
  return 2 * RowFloats(args) * static_cast<int64_t>(sizeof(float));
}

// Whether results and operands of the epilogue have no gaps between pixels.
IRODORI_INLINE bool Dense(const NarrowConvArgs& args) {
  bool dense = args.finish.pitch == args.n;
  for (int64_t i = 0; i < args.finish.count; ++i) {
    const EpilogueStep& step = args.finish.steps[i];
    dense = dense && (step.reach != Reach::kFull || step.pitch == args.n);
  }
  return dense;
}

// Finishes a row of pixels, `values` [out_w, n]: where it can be seen as one run, as that, with
// what each channel has written out for every pixel; ops over runs of 3 would mostly be calls.
static inline void FinishRow(const NarrowConvArgs& args, float* values, float* operand, int64_t row,
                             int64_t out_y) {
  const int64_t m = out_y * args.out_w;
  const int64_t n = args.out_w * args.n;
  if (!Dense(args)) {
    for (int64_t i = 0; i < args.out_w; ++i) {
      float run[kNarrowOutputs + kRunSlack];
      for (int64_t j = 0; j < args.n; ++j) run[j] = values[i * args.n + j];
      FinishRun(args.finish, run, row, m + i, 0, args.n);
    }
    return;
  }
  for (int64_t i = 0; i < args.finish.count; ++i) {
    EpilogueStep step = args.finish.steps[i];
    if (step.reach == Reach::kChannel) {
      float channels[kNarrowOutputs + kRunSlack];
      LoadRun(channels, RowAt(step.operand, row), step.dtype, 0, args.n);
      for (int64_t k = 0; k < args.out_w; ++k) {
        for (int64_t j = 0; j < args.n; ++j) operand[k * args.n + j] = channels[j];
      }
      step.reach = Reach::kFull;
      step.dtype = DType::kF32;
      step.operand = {reinterpret_cast<std::byte*>(operand)};
      step.pitch = 0;
    }
    ApplyStep(step, values, row, m, 0, n);
  }
  Finish store = args.finish;
  store.count = 0;
  FinishRun(store, values, row, m, 0, n);
}

template <int N, typename T>
static inline void NarrowConvRow(const NarrowConvArgs& args, int64_t row, int64_t out_y,
                                 float* results) {
  constexpr int kPixels = NarrowPixels(N);
  const T* x = reinterpret_cast<const T*>(RowAt(args.x, row));
  const T* zeros = reinterpret_cast<const T*>(args.zeros);
  const int64_t whole = args.channels / kLanes * kLanes;
  const int64_t rest = args.channels - whole;
  for (int64_t x0 = 0; x0 < args.out_w; x0 += kPixels) {
    F acc[kPixels * N] = {};
    const float* w = args.weights;
    for (int64_t ky = 0; ky < args.kernel_h; ++ky) {
      const int64_t in_y = out_y * args.stride_h - args.pad_top + ky;
      const bool inside = in_y >= 0 && in_y < args.in_h;
      for (int64_t kx = 0; kx < args.kernel_w; ++kx, w += N * args.weight_pitch) {
        const T* pixel[kPixels];
#pragma GCC unroll 8
        for (int i = 0; i < kPixels; ++i) {
          const int64_t in_x = (x0 + i) * args.stride_w - args.pad_left + kx;
          pixel[i] = inside && in_x >= 0 && in_x < args.in_w
                         ? x + (in_y * args.in_w + in_x) * args.x_pitch
                         : zeros;
        }
        F values[kPixels];
        for (int64_t c = 0; c < whole; c += kLanes) {
#pragma GCC unroll 8
          for (int i = 0; i < kPixels; ++i) values[i] = Load(pixel[i] + c);
          AddProducts<kPixels, N>(acc, values, w + c, args.weight_pitch);
        }
        if (rest > 0) {
#pragma GCC unroll 8
          for (int i = 0; i < kPixels; ++i) values[i] = LoadFirst(pixel[i] + whole, rest);
          AddProducts<kPixels, N>(acc, values, w + whole, args.weight_pitch);
        }
      }
    }
    // The last ones may be pixels past the row, of which nothing is read.
    SumLanes<kPixels * N>(acc, results + x0 * N);
  }
}

template <int N>
static inline void NarrowConvOf(const NarrowConvArgs& args, int64_t row, int64_t out_y,
                                float* results) {
  if (args.x_dtype == DType::kBF16) {
    NarrowConvRow<N, Bf16>(args, row, out_y, results);
  } else if (args.x_dtype == DType::kF16) {
    NarrowConvRow<N, F16>(args, row, out_y, results);
  } else {
    NarrowConvRow<N, float>(args, row, out_y, results);
  }
}

static inline void NarrowConvBlock(const NarrowConvArgs& args, int64_t block, std::byte* scratch) {
  static void (*const kRows[])(const NarrowConvArgs&, int64_t, int64_t, float*) = {
      &NarrowConvOf<1>, &NarrowConvOf<2>, &NarrowConvOf<3>, &NarrowConvOf<4>};
  float* results = reinterpret_cast<float*>(scratch);
  const int64_t row = block / args.out_h;
  const int64_t out_y = block % args.out_h;
  kRows[args.n - 1](args, row, out_y, results);
  FinishRow(args, results, results + RowFloats(args), row, out_y);
}

}  // namespace irodori::cpu::IRODORI_FAMILY
