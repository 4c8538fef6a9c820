// Plans and runs a product by Strassen: memory for the sums of x, then the phases.
#include "native/cpu/gemm/strassen_step.h"

#include <algorithm>

#include "native/core/rounding.h"
#include "native/cpu/cpu_features.h"

namespace irodori::cpu {
namespace {

constexpr int64_t kSumsBlocksPerThread = 4;
constexpr int64_t kTurnBytes = 8 << 20;  // of sums of x, at most

}  // namespace

int64_t StrassenBlockBytes(const GemmTile& tile) {
  return 4 *
         (2 * tile.row_block * tile.depth + kStrassenProducts * tile.row_block * tile.column_block +
          4 * tile.column_block * tile.depth);
}

StrassenStep::StrassenStep(const PlanContext& context, const Step& step, const GemmArgs& args)
    : x_(static_cast<uint32_t>(step.operands[0])), finish_(context, step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  const CpuPack& pack = context.pack(step.operands[1]);
  sums_.x_dtype = x.dtype;
  sums_.x_pitch = x.pitch;
  sums_.rows = args.rows / 2;
  sums_.k = args.k / 2;
  GemmArgs& product = args_.product;
  product = args;
  args_.rows = sums_.rows;
  product.batch = 1;
  product.n = args.n / 2;
  product.k = product.k_block = product.channels = sums_.k;
  product.weights = pack.data();
  product.weight_dtype = pack.spec().dtype;
  product.weight_depth = GemmDepth(args.k, product.weight_dtype, context.kernels.tile);
  if (step.operands[2] >= 0) finish_.Prepend(context, Epilogue::kAdd, step.operands[2]);
  tile_ = FitToCache(context.kernels.strassen_tile, SecondCacheBytes(), &StrassenBlockBytes);
}

Status StrassenStep::Execute(Run& run) const {
  StrassenArgs args = args_;
  StrassenSumsArgs sums = sums_;
  args.product.finish = finish_.Resolve(run);
  sums.x = run.source(x_);
  const int64_t rows = run.rows() * args.rows;
  const int64_t row_bytes = kStrassenProducts * sums.k * static_cast<int64_t>(sizeof(float));
  const int64_t turns = CeilDiv(rows, std::max<int64_t>(kTurnBytes / row_bytes, 1));
  const int64_t count = CeilDiv(rows, turns);
  for (int64_t first = 0; first < rows; first += count) {
    args.turn = sums.turn = {first, std::min(count, rows - first)};
    IRODORI_RETURN_IF_ERROR(TakeTurn(run, sums, args));
  }
  return Status::Ok();
}

Status StrassenStep::TakeTurn(Run& run, StrassenSumsArgs& sums, StrassenArgs& args) const {
  const KernelTable& kernels = run.kernels();
  const int64_t rows = args.turn.count;
  GemmArgs& product = args.product;
  product.rows = rows;
  PlanGemmBlocks(tile_, run.threads(), product);
  args.layout = {product.row_block, product.depth, CeilDiv(product.k, product.depth),
                 LaidPitch(product.depth)};
  sums.layout = args.layout;
  sums.row_block = CeilDiv(rows, kSumsBlocksPerThread * run.threads());
  const Result<std::byte*> memory =
      run.Shared(sums.layout.Place(product.row_blocks, 0) * static_cast<int64_t>(sizeof(float)));
  IRODORI_RETURN_IF_ERROR(memory.status());
  sums.out = reinterpret_cast<float*>(memory.value());
  args.x = sums.out;
  const int64_t work = rows * product.n * (kStrassenProducts * product.k + 4 * finish_.work());
  return run.ForPhases(
      work, kernels.strassen_scratch(args),
      KernelBlocks(CeilDiv(rows, sums.row_block), kernels.strassen_sums, sums),
      KernelBlocks(product.row_blocks * product.column_blocks, kernels.strassen, args));
}

}  // namespace irodori::cpu
