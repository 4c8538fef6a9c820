// Products of int8: x quantised into scratch, weights in panels of bytes (native/core/quantize.h
// has the definition).
//
// Panels: [ceil(N / lanes)][depth / 4][lanes][4] int8, depth = K rounded up to the family's unit
// with zeros: a vector of 32 bit lanes holds four terms of as many outputs, which is what vpdpbusd,
// vpmaddubsw and AMX tiles take.
//
// x: of each batch row its vectors of int8, `pitch` bytes apart, and behind them one of zeros, for
// taps in the padding. Where the kernel's instruction wants x without a sign, an offset is stored
// on it; with the zero point it is taken off again, times the sum of q over k: the integers are the
// same in every family.
#pragma once

#include "native/core/quantize.h"
#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {

// Writes weights [n, k] into such panels, as one of the two types of int8, and for each output its
// scale and the sum of its q; kAborted when `abort` is set between two rows. Outputs up to a whole
// panel get 0 and 0.
Status PackInt8(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                std::byte* out, float* scales, int32_t* sums, AbortFlag abort);

// What a vector or a picture lies between, 0 included, and the largest magnitude, which is a NaN or
// an infinity where there is one.
struct Int8Range {
  float low = 0, high = 0;
  float most = 0;
};

// Quantises x [batch, vectors, k]: block b is vectors b % row_blocks * row_block .. of batch row
// b / row_blocks. First, where a scale is of a whole row, the range of every block.
struct QuantizeArgs {
  RowSource x;
  DType x_dtype = DType::kF32;
  int64_t x_pitch = 0;  // elements
  int64_t batch = 0;
  int64_t vectors = 0;
  int64_t k = 0;
  bool per_row = false;  // one scale for a batch row, not for every vector
  int64_t sums = 32;
  int32_t offset = 0;  // stored on every value

  int64_t row_block = 0, row_blocks = 0;
  std::byte* out = nullptr;     // [batch, vectors + 1] vectors of k, filled up with zeros to
  int64_t depth = 0;            // this many values,
  int64_t out_pitch = 0;        // and this many bytes apart
  Int8Scale* scales = nullptr;  // [batch, vectors], or [batch]
  Int8Range* ranges = nullptr;  // per_row: [batch, row_blocks]
};

// A product as GemmArgs describe it, whose x and weights are int8: x_dtype and zeros are not looked
// at, x_pitch is in bytes, channels, k and weight_depth in terms; k is one sum.
struct Int8Args {
  GemmArgs product;
  const Int8Scale* x_scales = nullptr;  // of batch row r, vector m: [r scale_rows + m scale_step]
  int64_t scale_rows = 0, scale_step = 0;
  const float* scales = nullptr;  // of outputs, filled up to whole panels
  const int32_t* sums = nullptr;
};

// The vector of zeros of a batch row that begins at `x`.
static inline __attribute__((always_inline)) const std::byte* Int8Padding(const GemmArgs& args,
                                                                          const std::byte* x) {
  return x + args.in_h * args.in_w * args.x_pitch;
}

}  // namespace irodori::cpu
