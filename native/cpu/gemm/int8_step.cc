// Plans and runs products of int8: scratch for the quantised x and its scales, then the phases.
#include "native/cpu/gemm/int8_step.h"

#include <algorithm>

#include "native/core/rounding.h"
#include "native/cpu/cpu_features.h"

namespace irodori::cpu {
namespace {

constexpr int64_t kQuantizeBlocksPerThread = 4;
constexpr int64_t kLine = 64;

}  // namespace

Int8Step::Int8Step(const PlanContext& context, const Step& step, const GemmArgs& args)
    : x_(static_cast<uint32_t>(step.operands[0])), finish_(context, step) {
  const BufferSpec& x = context.buffer(step.operands[0]);
  const CpuPack& pack = context.pack(step.operands[1]);
  const Int8Table& int8 = *context.kernels.int8;
  const bool picture = args.in_w > 0;
  tile_ = FitToCache(int8.tile, SecondCacheBytes());
  quantize_.x_dtype = x.dtype;
  quantize_.x_pitch = x.pitch;
  quantize_.vectors = x.vectors();
  quantize_.k = x.columns();
  quantize_.per_row = picture;
  quantize_.sums = static_cast<int64_t>(step.attrs.back());
  quantize_.offset = int8.product(quantize_.sums).offset;
  // A whole number of groups, of a matmul of units: tiles then need no other rows.
  quantize_.depth = picture ? x.columns() : GemmDepth(x.columns(), DType::kI8, int8.tile);
  quantize_.out_pitch =
      quantize_.depth + (quantize_.depth % kCrowdedBytes == 0 ? kLine : int64_t{0});

  GemmArgs& product = args_.product;
  product = args;
  product.k = product.k_block = args.taps * quantize_.depth;
  product.channels = quantize_.depth;
  product.x_pitch = quantize_.out_pitch;
  product.weights = pack.data();
  product.weight_dtype = DType::kI8;
  product.weight_depth = GemmDepth(args.k, DType::kI8, int8.tile);
  args_.scales = pack.scales();
  args_.sums = pack.sums();
  args_.scale_rows = picture ? 1 : quantize_.vectors;
  args_.scale_step = picture ? 0 : 1;
  if (step.operands[2] >= 0) finish_.Prepend(context, Epilogue::kAdd, step.operands[2]);
}

Status Int8Step::Execute(Run& run) const {
  const Int8Table& int8 = *run.kernels().int8;
  QuantizeArgs quantize = quantize_;
  IRODORI_RETURN_IF_ERROR(PlanQuantize(run, quantize));

  Int8Args args = args_;
  GemmArgs& product = args.product;
  args.x_scales = quantize.scales;
  product.x.base = quantize.out;
  product.x.stride = (quantize.vectors + 1) * quantize.out_pitch;
  product.batch = run.rows();
  product.finish = finish_.Resolve(run);
  PlanGemmBlocks(tile_, run.threads(), product);
  product.depth = GemmDepth(product.depth, DType::kI8, tile_);

  const Int8Table::Product& kernel = int8.product(quantize.sums);
  const int64_t blocks = quantize.batch * quantize.row_blocks;
  const int64_t work = product.batch * product.rows * product.n * (product.k + finish_.work()) +
                       quantize.batch * quantize.vectors * quantize.k;
  const int64_t scratch = std::max(kernel.scratch(args), int8.quantize_scratch(quantize));
  return run.ForPhases(
      work, scratch, KernelBlocks(quantize.per_row ? blocks : 0, int8.range, quantize),
      KernelBlocks(blocks, int8.quantize, quantize),
      KernelBlocks(product.row_blocks * product.column_blocks, kernel.block, args));
}

// x of all rows goes into memory shared by the threads: its values, its scales, and what finds
// them.
Status Int8Step::PlanQuantize(Run& run, QuantizeArgs& args) const {
  args.x = run.source(x_);
  args.batch = run.rows();
  const int64_t wanted = kQuantizeBlocksPerThread * run.threads();
  args.row_block = CeilDiv(args.vectors, std::min(args.vectors, CeilDiv(wanted, args.batch)));
  args.row_blocks = CeilDiv(args.vectors, args.row_block);
  const int64_t blocks = args.batch * args.row_blocks;
  const int64_t vectors = args.batch * args.vectors;
  const int64_t value_bytes = CeilDiv((vectors + args.batch) * args.out_pitch, kLine) * kLine;
  const int64_t scale_bytes =
      (args.per_row ? args.batch : vectors) * static_cast<int64_t>(sizeof(Int8Scale));
  const int64_t range_bytes = args.per_row ? blocks * static_cast<int64_t>(sizeof(Int8Range)) : 0;
  const Result<std::byte*> memory = run.Shared(value_bytes + scale_bytes + range_bytes);
  IRODORI_RETURN_IF_ERROR(memory.status());
  args.out = memory.value();
  args.scales = reinterpret_cast<Int8Scale*>(args.out + value_bytes);
  args.ranges = reinterpret_cast<Int8Range*>(args.out + value_bytes + scale_bytes);
  return Status::Ok();
}

}  // namespace irodori::cpu
