// The bf16 matrix product of the `amx` family: 2 x 2 tiles, that is 32 rows by 32 outputs, 32 terms
// of k per instruction.
//
// Loads per product are 1, the least that eight tiles allow (four of C, two of A, two of B). Rows
// of x are loaded in place where 16 of them are equally far apart and whole in k; else they are
// gathered into tiles of their own, filled up with zeros, once per pass and block. Weights are
// panels of 16 outputs in pairs of k, padded to 32 terms: tiles as they lie. Blocks, passes,
// partial sums and the finish are as in gemm_block.h; an output's bits depend on k and k_block
// only.
#define IRODORI_FAMILY amx
#define IRODORI_LANES 16
#define IRODORI_TILE_ROWS 1
#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/tile_unit.h"

namespace irodori::cpu::amx {
namespace {

constexpr int64_t kTile = 16;   // rows and outputs of a tile
constexpr int64_t kChunk = 32;  // terms of a tile
constexpr int64_t kTileBytes = 1024;

// Sixteen rows: chunk c of k begins at data + c step, rows are `stride` bytes apart.
struct TileRowsPlace {
  const std::byte* data;
  int64_t stride, step;
};

struct TileScratch {
  int64_t sums, gathered, places, rows, bytes;
};
TileScratch LayOutTiles(const GemmArgs& args) {
  const int64_t rows = RoundUp(args.row_block, kTile);
  const int64_t results = rows * RoundUp(args.column_block, kTile) * 4;
  TileScratch scratch;
  scratch.sums = results;
  scratch.gathered = scratch.sums + (args.k_block < args.k ? results : 0);
  scratch.places = scratch.gathered + rows * RoundUp(args.depth, kChunk) * 2;
  scratch.rows =
      scratch.places + RoundUp(args.row_block * static_cast<int64_t>(sizeof(RowPlace)), 64);
  scratch.bytes = scratch.rows + rows / kTile * static_cast<int64_t>(sizeof(TileRowsPlace));
  return scratch;
}

// Row `lane` of gathered tiles = x(m)[k0 .. k1), zeros behind.
void GatherTileRow(const GemmArgs& args, const RowPlace& place, int64_t k0, int64_t k1,
                   int64_t lane, std::byte* tiles) {
  int64_t k = k0;
  while (k < k1) {
    const int64_t tap = k / args.channels;
    const int64_t tap_end = MinOf((tap + 1) * args.channels, k1);
    const std::byte* source = TapAddress(args, place, TapOf(args, tap), 2);
    while (k < tap_end) {
      const int64_t at = k - k0;
      const int64_t length = MinOf(kChunk - at % kChunk, tap_end - k);
      std::byte* out = tiles + at / kChunk * kTileBytes + lane * 64 + at % kChunk * 2;
      if (source == nullptr) {
        __builtin_memset(out, 0, static_cast<size_t>(length * 2));
      } else if (length == kChunk) {
        __builtin_memcpy(out, source + (k - tap * args.channels) * 2, 64);
      } else {
        __builtin_memcpy(out, source + (k - tap * args.channels) * 2,
                         static_cast<size_t>(length * 2));
      }
      k += length;
    }
  }
  const int64_t used = (k1 - k0) % kChunk;
  if (used == 0) return;
  std::byte* out = tiles + (k1 - k0) / kChunk * kTileBytes + lane * 64 + used * 2;
  __builtin_memset(out, 0, static_cast<size_t>((kChunk - used) * 2));
}

// Whether the sixteen rows from `places` on can be loaded where they are.
bool EquallyFar(const GemmArgs& args, const RowPlace* places, int64_t count) {
  if (args.taps > 1 || args.in_w > 0 || count < kTile) return false;
  const std::byte* first = TapAddress(args, places[0], Tap{0, 0}, 2);
  for (int64_t i = 1; i < kTile; ++i) {
    if (TapAddress(args, places[i], Tap{0, 0}, 2) != first + i * args.x_pitch * 2) return false;
  }
  return true;
}

void PlaceRows(const GemmArgs& args, const RowPlace* places, int64_t rows, int64_t k0, int64_t k1,
               std::byte* gathered, TileRowsPlace* out) {
  const int64_t chunks = (k1 - k0 + kChunk - 1) / kChunk;
  for (int64_t t = 0; t * kTile < rows; ++t) {
    const int64_t count = MinOf(kTile, rows - t * kTile);
    const RowPlace* first = places + t * kTile;
    if ((k1 - k0) % kChunk == 0 && EquallyFar(args, first, count)) {
      out[t] = {TapAddress(args, first[0], Tap{0, 0}, 2) + k0 * 2, args.x_pitch * 2, 64};
      continue;
    }
    std::byte* tiles = gathered + t * RoundUp(args.depth, kChunk) * kTile * 2;
    for (int64_t lane = 0; lane < count; ++lane)
      GatherTileRow(args, first[lane], k0, k1, lane, tiles);
    for (int64_t lane = count; lane < kTile; ++lane) {
      for (int64_t c = 0; c < chunks; ++c)
        __builtin_memset(tiles + c * kTileBytes + lane * 64, 0, 64);
    }
    out[t] = {tiles, 64, kTileBytes};
  }
}

// MT x NT tiles of results over `chunks` chunks. Tiles 0 .. 3: C, 4 and 5: A, 6 and 7: B.
template <int MT, int NT>
void TileProduct(TileUnit& unit, const TileRowsPlace* rows, const std::byte* panel,
                 int64_t panel_stride, int64_t chunks, float* c, int64_t c_pitch, bool resume) {
  const int64_t stride = c_pitch * 4;
  float* low = c + kTile * c_pitch;
  if (resume) {
    unit.Load<0>(c, stride);
    if constexpr (NT == 2) unit.Load<1>(c + kTile, stride);
    if constexpr (MT == 2) unit.Load<2>(low, stride);
    if constexpr (MT == 2 && NT == 2) unit.Load<3>(low + kTile, stride);
  } else {
    unit.Zero<0>();
    if constexpr (NT == 2) unit.Zero<1>();
    if constexpr (MT == 2) unit.Zero<2>();
    if constexpr (MT == 2 && NT == 2) unit.Zero<3>();
  }
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    unit.Load<6>(panel + chunk * kTileBytes, 64);
    unit.Load<4>(rows[0].data + chunk * rows[0].step, rows[0].stride);
    unit.DotProductBf16<0, 4, 6>();
    if constexpr (NT == 2) {
      unit.Load<7>(panel + panel_stride + chunk * kTileBytes, 64);
      unit.DotProductBf16<1, 4, 7>();
    }
    if constexpr (MT == 2) {
      unit.Load<5>(rows[1].data + chunk * rows[1].step, rows[1].stride);
      unit.DotProductBf16<2, 5, 6>();
      if constexpr (NT == 2) unit.DotProductBf16<3, 5, 7>();
    }
  }
  unit.Store<0>(c, stride);
  if constexpr (NT == 2) unit.Store<1>(c + kTile, stride);
  if constexpr (MT == 2) unit.Store<2>(low, stride);
  if constexpr (MT == 2 && NT == 2) unit.Store<3>(low + kTile, stride);
}

}  // namespace

void GemmTiles(const GemmArgs& args, int64_t block, std::byte* scratch) {
  const int64_t m0 = block % args.row_blocks * args.row_block;
  const int64_t rows = MinOf(args.row_block, args.batch * args.rows - m0);
  const int64_t n0 = block / args.row_blocks * args.column_block;
  const int64_t n1 = MinOf(n0 + args.column_block, args.n);
  const int64_t panels = (n1 - n0 + kTile - 1) / kTile;
  const int64_t row_tiles = (rows + kTile - 1) / kTile;
  const int64_t c_pitch = panels * kTile;
  const TileScratch layout = LayOutTiles(args);
  float* c = reinterpret_cast<float*>(scratch);
  float* sums = reinterpret_cast<float*>(scratch + layout.sums);
  RowPlace* places = reinterpret_cast<RowPlace*>(scratch + layout.places);
  TileRowsPlace* tiles = reinterpret_cast<TileRowsPlace*>(scratch + layout.rows);
  const int64_t panel_stride = args.weight_depth * kTile * 2;
  const std::byte* weights = args.weights + n0 / kTile * panel_stride;

  FindRows(args, m0, rows, places);
  const bool partial = args.k_block < args.k;
  if (args.k == 0) __builtin_memset(c, 0, static_cast<size_t>(rows * c_pitch * 4));
  TileUnit unit;
  unit.Configure();
  for (int64_t part = 0; part < args.k; part += args.k_block) {
    const int64_t part_end = MinOf(part + args.k_block, args.k);
    for (int64_t k0 = part; k0 < part_end; k0 += args.depth) {
      const int64_t k1 = MinOf(k0 + args.depth, part_end);
      const int64_t chunks = (k1 - k0 + kChunk - 1) / kChunk;
      PlaceRows(args, places, rows, k0, k1, scratch + layout.gathered, tiles);
      for (int64_t p = 0; p < panels; p += 2) {
        const std::byte* panel = weights + p * panel_stride + k0 * kTile * 2;
        const bool pair = p + 1 < panels;
        for (int64_t t = 0; t < row_tiles; t += 2) {
          float* out = c + t * kTile * c_pitch + p * kTile;
          const bool two = t + 1 < row_tiles;
          const auto product = two ? (pair ? &TileProduct<2, 2> : &TileProduct<2, 1>)
                                   : (pair ? &TileProduct<1, 2> : &TileProduct<1, 1>);
          product(unit, tiles + t, panel, panel_stride, chunks, out, c_pitch, k0 > part);
        }
      }
    }
    if (!partial) continue;
    for (int64_t i = 0; i < rows * c_pitch; i += kLanes) {
      Store(sums + i, part == 0 ? Load(c + i) : Load(sums + i) + Load(c + i));
    }
  }
  unit.Release();
  float* finished = partial ? sums : c;
  for (int64_t i = 0; i < rows; ++i) {
    FinishRun(args.finish, finished + i * c_pitch, (m0 + i) / args.rows,
              VectorOf(args, (m0 + i) % args.rows), n0, n1 - n0);
  }
}

int64_t GemmTilesScratch(const GemmArgs& args) { return LayOutTiles(args).bytes; }

}  // namespace irodori::cpu::amx
