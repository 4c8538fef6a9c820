// One block of Strassen's product of a kernel family, and the blocks that make the sums of x.
//
// Loop nest of a block of half the rows x half the outputs, k in passes of `depth`:
//   pass: product: its sums of x are in the second cache, or being fetched
//     two panels: their sum is made, in the first cache, and multiplied with register tiles as in
//     the plain product; chains parked in P
//   after the last pass: products are added up, the runs of the four quarters finished and stored
// The sums of x of two products, P and the weights of a pass fit the second cache together.
#pragma once

#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/strassen.h"

namespace irodori::cpu::IRODORI_FAMILY {

// The sums of row `row` of a turn.
template <typename T>
static inline void SumsOfRow(const StrassenSumsArgs& args, int64_t row) {
  const StrassenLayout& layout = args.layout;
  const int64_t m = args.turn.first + row;
  const T* x =
      reinterpret_cast<const T*>(RowAt(args.x, m / args.rows)) + m % args.rows * args.x_pitch;
  float* out = args.out + layout.Place(row / layout.rows, 0) + row % layout.rows * layout.pitch;
  for (int64_t k0 = 0; k0 < args.k; k0 += layout.depth) {
    const int64_t k1 = MinOf(k0 + layout.depth, args.k);
    for (int64_t k = k0; k < k1; k += kLanes) {
      F quarter[kQuarters];
#pragma GCC unroll 4
      for (int q = 0; q < kQuarters; ++q) {
        quarter[q] = Load(x + q / 2 * args.rows * args.x_pitch + q % 2 * args.k + k);
      }
#pragma GCC unroll 7
      for (int64_t i = 0; i < kStrassenProducts; ++i) {
        const QuarterSum& sum = kStrassen[i].x;
        const F first = quarter[sum.first], second = quarter[sum.second];
        Store(out + i * layout.product() + k - k0, sum.sign == 0  ? first
                                                   : sum.sign > 0 ? first + second
                                                                  : first - second);
      }
    }
    out += kStrassenProducts * layout.product();
  }
}

static inline void StrassenSumsBlock(const StrassenSumsArgs& args, int64_t block,
                                     std::byte* /*scratch*/) {
  const auto sums_of_row = args.x_dtype == DType::kBF16  ? &SumsOfRow<Bf16>
                           : args.x_dtype == DType::kF16 ? &SumsOfRow<F16>
                                                         : &SumsOfRow<float>;
  const int64_t end = MinOf((block + 1) * args.row_block, args.turn.count);
  for (int64_t row = block * args.row_block; row < end; ++row) sums_of_row(args, row);
}

// Panels that are summed up and multiplied at once.
inline constexpr int64_t kStrassenPanels = 2;

// A thread's scratch: the products, and behind them, from byte `panels` on, sums of weights.
// Products lie a vector further apart than they are large, as Winograd's planes.
struct StrassenScratch {
  int64_t pitch;    // elements from row to row
  int64_t product;  // elements from product to product
  int64_t panels, bytes;
};
IRODORI_INLINE StrassenScratch LayOutStrassen(const GemmArgs& product) {
  StrassenScratch scratch;
  scratch.pitch = OddLines(product.column_block);
  scratch.product = product.row_block * scratch.pitch + kLanes;
  scratch.panels = RoundUp(kStrassenProducts * scratch.product * 4, 64);
  scratch.bytes = scratch.panels + kStrassenPanels * product.depth * kLanes * 4;
  return scratch;
}

// Outputs n0 .. n0 + panels kLanes of both halves, terms k0 .. k0 + depth likewise.
struct StrassenPass {
  int64_t n0, panels, k0, depth;
};

// What is fetched while a product is multiplied: a quarter of the weights of this pass that none
// before it took, or of the next pass.
struct StrassenFetch {
  int8_t quarter;  // -1: none
  bool next;
};
inline constexpr StrassenFetch kStrassenFetches[kStrassenProducts] = {
    {2, false}, {1, false}, {-1, false}, {-1, false}, {-1, false}, {0, true}, {3, true}};

// All products of a pass. `rows` begin at the first one's sums of x.
template <typename W>
static inline void MultiplyHalves(const GemmArgs& args, const StrassenLayout& x,
                                  const StrassenScratch& layout, std::byte* scratch,
                                  PitchedRows rows, const StrassenPass& pass,
                                  const StrassenPass& next) {
  const int64_t stride = args.weight_depth * kLanes;
  const auto quarter = [&](int q, const StrassenPass& at) {
    return reinterpret_cast<const W*>(args.weights) + (q / 2 * args.n + at.n0) * args.weight_depth +
           (q % 2 * args.k + at.k0) * kLanes;
  };
  float* sums = reinterpret_cast<float*>(scratch + layout.panels);
  for (int64_t i = 0; i < kStrassenProducts; ++i) {
    const QuarterSum& sum = kStrassen[i].w;
    const W* first = quarter(sum.first, pass);
    const W* second = quarter(sum.second, pass);
    // The sums of x that come next lie behind these; then the weights.
    NextPanels x_ahead = {reinterpret_cast<const std::byte*>(rows.a + x.product()), 0,
                          x.product() * 4, 1};
    if (i + 1 == kStrassenProducts && next.n0 != pass.n0) x_ahead = {};
    NextPanels w_ahead;
    const StrassenFetch& fetch = kStrassenFetches[i];
    const StrassenPass& fetched = fetch.next ? next : pass;
    if (fetch.quarter >= 0 && fetched.panels > 0) {
      w_ahead = {reinterpret_cast<const std::byte*>(quarter(fetch.quarter, fetched)),
                 stride * static_cast<int64_t>(sizeof(W)),
                 fetched.depth * kLanes * static_cast<int64_t>(sizeof(W)), fetched.panels};
    }
    for (int64_t p = 0; p < pass.panels; p += kStrassenPanels) {
      const int64_t width = MinOf(kStrassenPanels, pass.panels - p);
      const NextPanels ahead = p == 0 ? x_ahead : p == kStrassenPanels ? w_ahead : NextPanels{};
      const W* panel = first + p * stride;
      if (sum.sign > 0) {
        MultiplyMade<Making::kSum, W>(rows, panel, second + p * stride, stride, sums, p, width,
                                      ahead);
      } else if (sum.sign < 0) {
        MultiplyMade<Making::kDifference, W>(rows, panel, second + p * stride, stride, sums, p,
                                             width, ahead);
      } else if constexpr (sizeof(W) == sizeof(float)) {
        MultiplyPanels<float>(rows, panel, stride, p, width, ahead);
      } else {
        MultiplyMade<Making::kWidened, W>(rows, panel, nullptr, stride, sums, p, width, ahead);
      }
    }
    rows.a += x.product();
    rows.c += layout.product;
  }
}

// Adds the products of n outputs up: the four quarters of the result take the place of the first
// four.
static inline void AddProducts(float* products, int64_t apart, int64_t n) {
  for (float* p = products; p < products + n; p += kLanes) {
    F of[kStrassenProducts];
#pragma GCC unroll 7
    for (int i = 0; i < kStrassenProducts; ++i) of[i] = Load(p + i * apart);
    Store(p, of[0] + of[3] - of[4] + of[6]);
    Store(p + apart, of[2] + of[4]);
    Store(p + 2 * apart, of[1] + of[3]);
    Store(p + 3 * apart, of[0] - of[1] + of[2] + of[5]);
  }
}

static inline void StrassenBlock(const StrassenArgs& args, int64_t block, std::byte* scratch) {
  const GemmArgs& product = args.product;
  const StrassenLayout& x = args.layout;
  const StrassenScratch layout = LayOutStrassen(product);
  const auto [m0, count, n0, n1] = GemmBlockOf(product, block);
  const int64_t next_n = NextOutputs(product, block);
  const auto pass_at = [&](int64_t n, int64_t k) {
    const int64_t outputs = MinOf(product.column_block, product.n - n);
    return StrassenPass{n, CeilDiv(outputs, kLanes), k, MinOf(x.depth, product.k - k)};
  };
  const auto multiply = product.weight_dtype == DType::kBF16  ? &MultiplyHalves<Bf16>
                        : product.weight_dtype == DType::kF16 ? &MultiplyHalves<F16>
                                                              : &MultiplyHalves<float>;
  float* products = reinterpret_cast<float*>(scratch);
  PitchedRows rows{SplitRows(count), nullptr, x.pitch, 0, products, layout.pitch, false};
  for (int64_t k = 0; k < product.k; k += x.depth) {
    const StrassenPass pass = pass_at(n0, k);
    const bool last = k + x.depth >= product.k;
    rows.a = args.x + x.Place(m0 / x.rows, k / x.depth);
    rows.depth = pass.depth;
    rows.resume = k > 0;
    multiply(product, x, layout, scratch, rows, pass,
             last ? pass_at(next_n, 0) : pass_at(n0, k + x.depth));
  }
  for (int64_t i = 0; i < count; ++i, products += layout.pitch) {
    AddProducts(products, layout.product, n1 - n0);
    const int64_t m = args.turn.first + m0 + i;
    for (int64_t q = 0; q < kQuarters; ++q) {
      FinishRun(product.finish, products + q * layout.product, m / args.rows,
                m % args.rows + q / 2 * args.rows, n0 + q % 2 * product.n, n1 - n0);
    }
  }
}

static inline int64_t StrassenScratchBytes(const StrassenArgs& args) {
  return LayOutStrassen(args.product).bytes;
}

}  // namespace irodori::cpu::IRODORI_FAMILY
