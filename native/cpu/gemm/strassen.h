// Strassen's matrix product of the CPU backend: seven products of halves, where a plain one is made
// of eight.
//
//   x [M, K] = (A11 A12)    w' [K, N] = (B11 B12)    out [M, N] = finish(C11 C12)
//              (A21 A22)                (B21 B22)                       (C21 C22)
//
//   P1 = (A11 + A22)(B11 + B22)    P2 = (A21 + A22) B11          P3 = A11 (B12 - B22)
//   P4 = A22 (B21 - B11)           P5 = (A11 + A12) B22          P6 = (A21 - A11)(B11 + B12)
//   P7 = (A12 - A22)(B21 + B22)
//   C11 = P1 + P4 - P5 + P7    C12 = P3 + P5    C21 = P2 + P4    C22 = P1 - P2 + P3 + P6
//
// Strassen 1969, "Gaussian elimination is not optimal". M is of one batch row, so nothing of a row
// depends on the batch.
//
// The sums of x are made once, in a phase of their own. Those of w every block makes for two panels
// at a time, in the first cache and among the multiplications: packs are those of a plain product
// and no larger.
//
// Rounding: an element of P is one chain of FMAs in ascending k. The error of an output is bounded
// by the largest values of x and w, not by those of its own row and column (Higham, "Accuracy and
// Stability of Numerical Algorithms", 23.2.2); docs/performance.md has what it is measured at.
#pragma once

#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {

inline constexpr int64_t kStrassenProducts = 7;
inline constexpr int64_t kQuarters = 4;

// A sum of two quarters of a factor, or one of them (sign 0). Quarter 2 i + j: half i of the rows
// of x, or of the outputs of w, and half j of the terms.
struct QuarterSum {
  int8_t first, second, sign;
};
struct StrassenProduct {
  QuarterSum x, w;
};
inline constexpr StrassenProduct kStrassen[kStrassenProducts] = {
    {{0, 3, 1}, {0, 3, 1}},  {{2, 3, 1}, {0, 0, 0}}, {{0, 0, 0}, {2, 3, -1}},
    {{3, 3, 0}, {1, 0, -1}}, {{0, 1, 1}, {3, 3, 0}}, {{2, 0, -1}, {0, 2, 1}},
    {{1, 3, -1}, {1, 3, 1}},
};

// Where the sums of x lie: all that a block needs for a pass together, as float32,
// [blocks of rows][passes][products][rows] vectors of `depth` terms.
struct StrassenLayout {
  int64_t rows = 0;  // of a block
  int64_t depth = 0;
  int64_t passes = 0;
  int64_t pitch = 0;  // elements from vector to vector

  int64_t product() const { return rows * pitch; }
  // The first element of the first product.
  int64_t Place(int64_t block, int64_t pass) const {
    return (block * passes + pass) * kStrassenProducts * product();
  }
};

// Rows are taken in turns, of so many that their sums stay in the third cache: rows first ..
// first + count of [batch, half of M].
struct StrassenTurn {
  int64_t first = 0, count = 0;
};

// Block b makes the sums of rows b * row_block .. of a turn.
struct StrassenSumsArgs {
  RowSource x;
  DType x_dtype = DType::kF32;
  int64_t x_pitch = 0;      // elements between vectors
  int64_t rows = 0, k = 0;  // half of M and of K
  StrassenTurn turn;
  int64_t row_block = 0;
  float* out = nullptr;
  StrassenLayout layout;
};

struct StrassenArgs {
  // One of the products over the rows of a turn, which are those of one batch row to it. x and
  // partial sums are not looked at; finish is that of the whole.
  GemmArgs product;
  StrassenTurn turn;
  int64_t rows = 0;          // half of M
  const float* x = nullptr;  // the sums
  StrassenLayout layout;
};

// Bytes that a block of the largest size works on: the sums of x of two products, all products and
// all quarters of the weights.
int64_t StrassenBlockBytes(const GemmTile& tile);

}  // namespace irodori::cpu
