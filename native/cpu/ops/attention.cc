// attention: lengths of the rows are read and checked first, then (row, head, block of queries) go
// to the threads.
#include <algorithm>
#include <numbers>

#include "native/core/rounding.h"
#include "native/cpu/planned_step.h"

namespace irodori::cpu {
namespace {

// A job takes several heads when their keys and values stay in L2, so that the rows of queries and
// results, which hold all heads, are fetched once and not once a head. It takes as many queries as
// then stay in L2: keys and values come from beyond it once per job. All in floats; a block of
// queries is a multiple of every family's strip. Threads want jobs enough to share them evenly.
// Part of no reduction.
constexpr int64_t kHeadFloats = 65536;
constexpr int64_t kQueryFloats = 65536;
constexpr int64_t kMaxQueries = 512, kMinQueries = 64;
constexpr int64_t kJobsPerThread = 8;
constexpr int64_t kCopyQueries = 64;
// Keys that one thread gathers at a time.
constexpr int64_t kGatheredKeys = 64;

void PlanJobs(int threads, AttentionArgs& args) {
  const int64_t wanted = threads > 1 ? kJobsPerThread * threads : 1;
  args.query_block = kMaxQueries;
  args.head_block = std::clamp<int64_t>(
      kHeadFloats / std::max<int64_t>(2 * args.keys * args.head_dim, 1), 1, args.heads);
  const auto count = [&] {
    args.query_blocks = CeilDiv(args.queries, args.query_block);
    args.head_blocks = CeilDiv(args.heads, args.head_block);
    return args.batch * args.query_blocks * args.head_blocks;
  };
  while (args.query_block > kMinQueries &&
         (args.query_block * args.head_block * args.head_dim > kQueryFloats || count() < wanted)) {
    args.query_block /= 2;
  }
  while (args.head_block > 1 && count() < wanted) args.head_block = (args.head_block + 1) / 2;
  args.query_block = std::min(args.query_block, std::max<int64_t>(args.queries, 1));
  count();
}

// Floats between rows of a gathered head: whole vectors of every family, and an odd number of cache
// lines where a power of two would put rows into few sets of L1.
int64_t GatheredPitch(int64_t dim) {
  const int64_t whole = (dim + 15) / 16 * 16;
  return whole % 128 == 0 ? whole + 16 : whole;
}

// Matrix tiles take what is stored in bf16 and is more than a few of them; key blocks are whole
// tiles then.
constexpr int64_t kMaxTileQueries = 256;
constexpr int64_t kLeastTileQueries = 64, kLeastTileKeys = 32;
bool TakesTiles(const KernelTable& kernels, const AttentionArgs& args) {
  const auto bf16 = [](const AttentionOperand& operand) { return operand.dtype == DType::kBF16; };
  return kernels.attention_bf16 != nullptr && bf16(args.q) && bf16(args.k) && bf16(args.v) &&
         args.queries >= kLeastTileQueries && args.keys >= kLeastTileKeys &&
         args.key_block % 32 == 0;
}

class AttentionStep final : public PlannedStep {
 public:
  AttentionStep(const PlanContext& context, const Step& step, const AttentionArgs& args)
      : args_(args), operands_(step.operands), at_(step.at), finish_(context, step) {}

  Status Execute(Run& run) const override {
    AttentionArgs args = args_;
    args.batch = run.rows();
    args.q.rows = run.source(static_cast<uint32_t>(operands_[0]));
    args.k.rows = run.source(static_cast<uint32_t>(operands_[1]));
    args.v.rows = run.source(static_cast<uint32_t>(operands_[2]));
    if (operands_[3] >= 0) {
      std::vector<int64_t>& lengths = run.lane().lengths;
      lengths.clear();
      for (int64_t row = 0; row < args.batch; ++row) {
        const Result<int64_t> length =
            ReadKvLength(run.operand(static_cast<uint32_t>(operands_[3]), row), args.keys, at_);
        IRODORI_RETURN_IF_ERROR(length.status());
        lengths.push_back(length.value());
      }
      args.kv_lengths = lengths.data();
    }
    args.finish = finish_.Resolve(run);
    if (TakesTiles(run.kernels(), args)) return RunTiles(run, args);
    PlanJobs(run.threads(), args);
    // Heads that more than one job reads are gathered before, others by their jobs where several
    // strips of queries read them.
    if (args.query_blocks > 1) IRODORI_RETURN_IF_ERROR(Gather(run, args));
    args.copy_heads = args.query_blocks == 1 && args.queries >= kCopyQueries;
    const int64_t blocks = args.batch * args.head_blocks * args.query_blocks;
    const KernelTable& kernels = run.kernels();
    return run.ForBlocks(blocks, WorkOf(args), kernels.attention_scratch(args), kernels.attention,
                         args);
  }

 private:
  int64_t WorkOf(const AttentionArgs& args) const {
    return args.batch * args.heads * args.queries *
           (2 * args.keys * (args.head_dim + 8) + finish_.work() * args.head_dim);
  }

  Status RunTiles(Run& run, AttentionArgs& args) const {
    const KernelTable& kernels = run.kernels();
    args.query_block = std::min<int64_t>(kMaxTileQueries, args.queries);
    const int64_t wanted = run.threads() > 1 ? kJobsPerThread * run.threads() : 1;
    const auto jobs = [&] {
      args.query_blocks = CeilDiv(args.queries, args.query_block);
      return args.batch * args.heads * args.query_blocks;
    };
    while (jobs() < wanted && args.query_block > kMinQueries) {
      args.query_block = std::max(kMinQueries, CeilDiv(args.query_block, 2 * 32) * 32);
    }
    const int64_t blocks = jobs();
    const Result<std::byte*> tiles = run.Shared(kernels.attention_bf16_bytes(args));
    IRODORI_RETURN_IF_ERROR(tiles.status());
    args.tiles = tiles.value();
    const int64_t scratch = kernels.attention_bf16_scratch(args);
    const int64_t values = args.batch * args.heads * args.keys * args.head_dim;
    IRODORI_RETURN_IF_ERROR(run.ForBlocks(args.batch * args.heads * CeilDiv(args.keys, 32),
                                          2 * values, scratch, kernels.attention_bf16_pack, args));
    return run.ForBlocks(blocks, WorkOf(args), scratch, kernels.attention_bf16, args);
  }

  // Whole rows are read in order: a head alone would have the processor fetch its neighbours too,
  // once for every head and block of queries.
  Status Gather(Run& run, AttentionArgs& args) const {
    const int64_t pitch = GatheredPitch(args.head_dim);
    const int64_t head_step = args.keys * pitch;
    const int64_t row_floats = args.heads * head_step;
    const Result<std::byte*> memory = run.Shared(2 * args.batch * row_floats * 4);
    IRODORI_RETURN_IF_ERROR(memory.status());
    auto* const floats = reinterpret_cast<float*>(memory.value());
    const AttentionOperand from[2] = {args.k, args.v};
    const int64_t key_blocks = CeilDiv(args.keys, kGatheredKeys);
    const auto load_run = run.kernels().load_run;
    const auto gather = [&](int64_t block, std::byte*) {
      const int64_t first = block % key_blocks * kGatheredKeys;
      const int64_t row = block / key_blocks / 2;
      const int64_t which = block / key_blocks % 2;
      const AttentionOperand& source = from[which];
      float* const out = floats + (which * args.batch + row) * row_floats;
      const int64_t length = args.kv_lengths != nullptr ? args.kv_lengths[row] : args.keys;
      const int64_t end = std::min(length, first + kGatheredKeys);
      for (int64_t key = first; key < end; ++key) {
        for (int64_t head = 0; head < args.heads; ++head) {
          load_run(out + head * head_step + key * pitch, RowAt(source.rows, row), source.dtype,
                   key * source.pitch + head * source.head_step, args.head_dim);
        }
      }
    };
    IRODORI_RETURN_IF_ERROR(run.ForBlocks(2 * args.batch * key_blocks,
                                          2 * args.batch * args.keys * args.heads * args.head_dim,
                                          0, gather));
    for (int64_t which = 0; which < 2; ++which) {
      auto* const base = reinterpret_cast<std::byte*>(floats + which * args.batch * row_floats);
      (which == 0 ? args.k : args.v) = {{base, row_floats * 4}, DType::kF32, pitch, head_step};
    }
    return Status::Ok();
  }

  AttentionArgs args_;
  std::vector<int32_t> operands_;
  std::string at_;
  FinishPlan finish_;
};

AttentionOperand OperandOf(const BufferSpec& buffer, int64_t heads) {
  return {{}, buffer.dtype, buffer.pitch, buffer.columns() / heads};
}

}  // namespace

Result<StepPlan> PlanAttention(const PlanContext& context, const Step& step) {
  const BufferSpec& q = context.buffer(step.operands[0]);
  const BufferSpec& k = context.buffer(step.operands[1]);
  AttentionArgs args;
  args.heads = static_cast<int64_t>(step.attrs[0]);
  args.q = OperandOf(q, args.heads);
  args.k = OperandOf(k, args.heads);
  args.v = OperandOf(context.buffer(step.operands[2]), args.heads);
  args.head_dim = q.columns() / args.heads;
  args.queries = q.vectors();
  args.keys = k.vectors();
  args.causal = step.attrs[1] == 1;
  args.scale = static_cast<float>(step.attrs[2] * std::numbers::log2e);
  args.key_block = static_cast<int64_t>(step.attrs[3]);
  return StepPlan(std::make_unique<AttentionStep>(context, step, args));
}

}  // namespace irodori::cpu
