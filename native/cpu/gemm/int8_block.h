// One block of the product of int8 of a kernel family, and the blocks that quantise its x.
//
// The loop nest is that of gemm_block.h, over bytes that are always read in place: k in passes of
// `depth`, a group of panels that stays in L1, tiles of rows read from L2. Sums are exact, so there
// is one partial sum however long k is.
#pragma once

#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/int8_table.h"
#include "native/cpu/gemm/int8_tile.h"

namespace irodori::cpu::IRODORI_FAMILY {

typedef int8_t Bytes __attribute__((vector_size(IRODORI_LANES)));

// The lowest byte of every lane. GCC takes AVX2's lanes out one by one, and knows AVX-512's
// instruction as an intrinsic only.
IRODORI_INLINE Bytes LowBytes(I x) {
#if defined(__AVX512F__) && IRODORI_LANES == 16
  return (Bytes)_mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)x);
#elif defined(__AVX2__) && IRODORI_LANES == 8
  const __m256i fours = _mm256_shuffle_epi8((__m256i)x, _mm256_set1_epi32(0x0c080400));
  const __m128i eight =
      _mm_unpacklo_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
  return (Bytes)_mm_cvtsi128_si64(eight);
#else
  return __builtin_convertvector(x, Bytes);
#endif
}

// Places of the parts of a thread's scratch: sums, places, stretches.
struct Int8Scratch {
  int64_t places, stretches, bytes;
};
template <int Rows>
IRODORI_INLINE Int8Scratch LayOutInt8(const GemmArgs& args) {
  const int64_t tiles = CeilDiv(args.row_block, Rows);
  const int64_t per_tile = args.depth / args.channels + 2;
  Int8Scratch scratch;
  scratch.places = RoundUp(args.row_block * RoundUp(args.column_block, kLanes) * 4, 64);
  scratch.stretches =
      scratch.places + RoundUp(args.row_block * static_cast<int64_t>(sizeof(RowPlace)), 64);
  scratch.bytes =
      scratch.stretches + tiles * per_tile * static_cast<int64_t>(sizeof(Int8Stretch<Rows>));
  return scratch;
}

// Rows in tiles of equal height, but for one row: the first `tall` have `height`.
template <int Rows>
IRODORI_INLINE RowTiles SplitInt8Rows(int64_t rows) {
  const int64_t tiles = CeilDiv(rows, Rows);
  const int64_t height = CeilDiv(rows, tiles);
  return {tiles, height, rows - tiles * (height - 1)};
}

// Fills the stretches of every tile for k0 .. k1; returns stretches per tile.
template <int Rows>
static inline int64_t Int8Stretches(const GemmArgs& args, const RowPlace* places,
                                    const RowTiles& split, int64_t k0, int64_t k1,
                                    Int8Stretch<Rows>* stretches) {
  const int64_t first_tap = k0 / args.channels;
  const int64_t count = (k1 - 1) / args.channels - first_tap + 1;
  int64_t k = k0;
  for (int64_t s = 0; s < count; ++s) {
    const Tap tap = TapOf(args, first_tap + s);
    const int64_t c = k - (first_tap + s) * args.channels;
    const int64_t length = MinOf(args.channels - c, k1 - k);
    const RowPlace* place = places;
    for (int64_t t = 0; t < split.tiles; ++t) {
      Int8Stretch<Rows>& stretch = stretches[t * count + s];
      stretch.length = length;
      for (int64_t i = 0; i < HeightOf(split, t); ++i, ++place) {
        const std::byte* at = TapAddress(args, *place, tap, 1);
        stretch.rows[i] = (at == nullptr ? Int8Padding(args, place->x) : at) + c;
      }
    }
    k += length;
  }
  return count;
}

// values[0 .. n) = what sums over a vector with that scale are worth, outputs from n0 on; in place.
// Writes whole vectors.
static inline void ScaleSums(const Int8Args& args, const Int8Scale& x, int32_t offset, int64_t n0,
                             int64_t n, int32_t* sums) {
  const F scale = Splat(x.scale);
  const int32_t zero = x.zero + offset;
  float* values = reinterpret_cast<float*>(sums);
  const int32_t* of_weights = args.sums + n0;
  const float* scales = args.scales + n0;
#pragma GCC unroll 4
  for (int64_t i = 0; i < n; i += kLanes) {
    const I exact = LoadI(sums + i) - zero * LoadI(of_weights + i);
    Store(values + i, __builtin_convertvector(exact, F) * (scale * Load(scales + i)));
  }
}

// Scales, finishes and stores the rows of a block of sums.
static inline void FinishInt8(const Int8Args& args, int32_t offset, int64_t m0, int64_t rows,
                              int64_t n0, int64_t n, int32_t* c, int64_t c_pitch) {
  const GemmArgs& product = args.product;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t row = (m0 + i) / product.rows;
    const int64_t m = (m0 + i) % product.rows;
    int32_t* sums = c + i * c_pitch;
    ScaleSums(args, args.x_scales[row * args.scale_rows + m * args.scale_step], offset, n0, n,
              sums);
    FinishRun(product.finish, reinterpret_cast<float*>(sums), row, VectorOf(product, m), n0, n);
  }
}

// Where fetching the next panels has got to: the tiles over a group each fetch some of their lines.
struct LinesAhead {
  const std::byte* panel;
  int64_t stride, lines;  // of a panel
  int64_t line = 0, fetched = 0;
};
static inline void FetchUpTo(LinesAhead& ahead, int64_t count) {
  for (; ahead.fetched < count; ++ahead.fetched) {
    if (ahead.line == ahead.lines) {
      ahead.line = 0;
      ahead.panel += ahead.stride;
    }
    __builtin_prefetch(ahead.panel + ahead.line++ * 64, 0, 2);
  }
}

template <typename Unit, int Rows>
static inline void Int8Block(const Int8Args& int8, int64_t block, std::byte* scratch) {
  const GemmArgs& args = int8.product;
  const auto [m0, rows, n0, n1] = GemmBlockOf(args, block);
  const int64_t panels = CeilDiv(n1 - n0, kLanes);
  const int64_t c_pitch = panels * kLanes;
  const Int8Scratch layout = LayOutInt8<Rows>(args);
  int32_t* c = reinterpret_cast<int32_t*>(scratch);
  RowPlace* places = reinterpret_cast<RowPlace*>(scratch + layout.places);
  auto* stretches = reinterpret_cast<Int8Stretch<Rows>*>(scratch + layout.stretches);
  const RowTiles split = SplitInt8Rows<Rows>(rows);
  const auto& tiles = kInt8Tiles<Unit, Rows>.tiles;

  FindRows(args, m0, rows, places);
  const int64_t next_n = NextOutputs(args, block);
  Int8TileArgs<Rows> tile;
  tile.panel_stride = args.weight_depth * kLanes;
  tile.c_pitch = c_pitch;
  for (int64_t k0 = 0; k0 < args.k; k0 += args.depth) {
    const int64_t k1 = MinOf(k0 + args.depth, args.k);
    tile.count = Int8Stretches<Rows>(args, places, split, k0, k1, stretches);
    tile.resume = k0 > 0;
    int64_t width = 0;
    for (int64_t p = 0; p < panels; p += width) {
      width = MinOf(panels - p, Int8VectorsFor<Unit>(static_cast<int>(split.height)));
      tile.panel = args.weights + n0 * args.weight_depth + p * tile.panel_stride + k0 * kLanes;
      LinesAhead ahead = {tile.panel + width * tile.panel_stride, tile.panel_stride,
                          (k1 - k0) * kLanes / 64};
      if (p + width >= panels) {
        const PassStart next = PassAfter(args, n0, k1, next_n);
        ahead.panel = args.weights + next.n * args.weight_depth + next.k * kLanes;
        if (next.n >= args.n) ahead.lines = 0;
      }
      int32_t* out = c + p * kLanes;
      for (int64_t t = 0; t < split.tiles; ++t) {
        FetchUpTo(ahead, (t + 1) * ahead.lines * width / split.tiles);
        const int64_t height = HeightOf(split, t);
        tile.stretches = stretches + t * tile.count;
        tile.c = out;
        tiles[height][width](tile);
        out += height * c_pitch;
      }
    }
  }
  FinishInt8(int8, Unit::kOffset, m0, rows, n0, n1 - n0, c, c_pitch);
}

// The range of n values; reads whole vectors, of which those behind n are zero.
static inline Int8Range RangeOf(const float* values, int64_t n) {
  F low{}, high{};
  I most{};
#pragma GCC unroll 4
  for (int64_t i = 0; i < n; i += kLanes) {
    const F x = Load(values + i);
    const I magnitude = AsI(x) & 0x7fffffff;
    low = Smaller(x, low);
    high = Larger(x, high);
    most = Larger(magnitude, most);  // bits in the order of what they mean, NaN last
  }
  const int32_t largest = ReduceMax(most);
  Int8Range range{-ReduceMax(-low), ReduceMax(high), 0};
  __builtin_memcpy(&range.most, &largest, sizeof(largest));
  return range;
}

IRODORI_INLINE Int8Range Union(const Int8Range& a, const Int8Range& b) {
  return {b.low < a.low ? b.low : a.low, b.high > a.high ? b.high : a.high,
          a.most >= b.most   ? a.most
          : b.most != b.most ? b.most
          : a.most != a.most ? a.most
                             : b.most};
}

IRODORI_INLINE Int8Scale ScaleOf(const Int8Range& range, int64_t sums) {
  return range.most <= 0x1.fffffep127f ? Int8ScaleOfRange(range.low, range.high, sums)
                                       : Int8ScaleOfRange(0, range.most, sums);
}

// Values up to the depth to bytes; writes whole vectors.
static inline void ToInt8(const QuantizeArgs& args, const Int8Scale& scale, const float* values,
                          std::byte* out) {
  const F factor = Splat(scale.to_int8);
  const int32_t most = Int8Steps(args.sums) / 2;
  const int32_t offset = args.offset;
  const int64_t depth = args.depth;
  if (!(scale.to_int8 > 0)) {
    __builtin_memset(out, offset, static_cast<size_t>(RoundUp(depth, kLanes)));
    return;
  }
#pragma GCC unroll 4
  for (int64_t i = 0; i < depth; i += kLanes) {
    const I p = __builtin_convertvector(Round(Load(values + i) * factor), I) + scale.zero;
    const Bytes bytes = LowBytes(Larger(Smaller(p, I{} + most), I{} - most) + offset);
    __builtin_memcpy(out + i, &bytes, sizeof(bytes));
  }
}

// A thread's scratch: one vector of x widened, and as bytes, where they cannot be read or written
// in place.
IRODORI_INLINE int64_t QuantizeRun(const QuantizeArgs& args) {
  return RoundUp(args.depth, 64) + kRunSlack;
}
static inline int64_t QuantizeScratchBytes(const QuantizeArgs& args) {
  return RoundUp(QuantizeRun(args) * 4, 64) + QuantizeRun(args);
}

// Vector m of a batch row with zeros up to the depth and a whole vector, in scratch if need be.
static inline const float* WideVector(const QuantizeArgs& args, const std::byte* x, int64_t m,
                                      float* scratch) {
  if (args.x_dtype == DType::kF32 && args.depth == args.k && args.k % kLanes == 0) {
    return reinterpret_cast<const float*>(x) + m * args.x_pitch;
  }
  LoadRun(scratch, x, args.x_dtype, m * args.x_pitch, args.k);
  for (int64_t i = args.k; i < QuantizeRun(args); ++i) scratch[i] = 0;
  return scratch;
}

struct QuantizeBlock {
  int64_t row, begin, end;
};
IRODORI_INLINE QuantizeBlock VectorsOf(const QuantizeArgs& args, int64_t block) {
  const int64_t begin = block % args.row_blocks * args.row_block;
  return {block / args.row_blocks, begin, MinOf(begin + args.row_block, args.vectors)};
}

// per_row: the range of a block.
static inline void RangeOfBlock(const QuantizeArgs& args, int64_t block, std::byte* scratch) {
  const QuantizeBlock vectors = VectorsOf(args, block);
  const std::byte* x = RowAt(args.x, vectors.row);
  float* widened = reinterpret_cast<float*>(scratch);
  Int8Range range;
  for (int64_t m = vectors.begin; m < vectors.end; ++m) {
    range = Union(range, RangeOf(WideVector(args, x, m, widened), args.k));
  }
  args.ranges[block] = range;
}

// per_row: the scale of a batch row; its first block leaves it there, and the vector of zeros.
static inline Int8Scale ScaleOfRow(const QuantizeArgs& args, const QuantizeBlock& vectors) {
  Int8Range range;
  for (int64_t i = 0; i < args.row_blocks; ++i) {
    range = Union(range, args.ranges[vectors.row * args.row_blocks + i]);
  }
  const Int8Scale scale = ScaleOf(range, args.sums);
  if (vectors.begin > 0) return scale;
  args.scales[vectors.row] = scale;
  __builtin_memset(args.out + ((vectors.row + 1) * (args.vectors + 1) - 1) * args.out_pitch,
                   scale.zero + args.offset, static_cast<size_t>(args.depth));
  return scale;
}

static inline void QuantizeVectors(const QuantizeArgs& args, int64_t block, std::byte* scratch) {
  const QuantizeBlock vectors = VectorsOf(args, block);
  const std::byte* x = RowAt(args.x, vectors.row);
  float* widened = reinterpret_cast<float*>(scratch);
  std::byte* bytes = scratch + RoundUp(QuantizeRun(args) * 4, 64);
  Int8Scale scale = args.per_row ? ScaleOfRow(args, vectors) : Int8Scale{};
  for (int64_t m = vectors.begin; m < vectors.end; ++m) {
    const float* values = WideVector(args, x, m, widened);
    if (!args.per_row) {
      scale = ScaleOf(RangeOf(values, args.k), args.sums);
      args.scales[vectors.row * args.vectors + m] = scale;
    }
    std::byte* out = args.out + (vectors.row * (args.vectors + 1) + m) * args.out_pitch;
    if (args.depth % kLanes == 0) {
      ToInt8(args, scale, values, out);
      continue;
    }
    ToInt8(args, scale, values, bytes);
    __builtin_memcpy(out, bytes, static_cast<size_t>(args.depth));
  }
}

// A product through tiles of up to `Rows` rows.
template <typename Unit, int Rows>
constexpr Int8Table::Product MakeInt8Product() {
  return {Unit::kOffset, &Int8Block<Unit, Rows>,
          [](const Int8Args& args) { return LayOutInt8<Rows>(args.product).bytes; }};
}

// The table of a family; `tile` with lanes and units of its other products.
constexpr Int8Table MakeInt8Table(GemmTile tile, const Int8Table::Product& sums32,
                                  const Int8Table::Product& sums16) {
  tile.term_bytes = 1;
  return {tile, sums32, sums16, &RangeOfBlock, &QuantizeVectors, &QuantizeScratchBytes};
}

}  // namespace irodori::cpu::IRODORI_FAMILY
