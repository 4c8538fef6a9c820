// Rounds parameters to their type and lays them out for the kernels, in stretches that all threads
// share.
#include "native/cpu/pack.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include "native/core/float_arrays.h"
#include "native/core/message.h"
#include "native/core/rounding.h"
#include "native/cpu/gemm/folded_weights.h"
#include "native/cpu/gemm/int8.h"

namespace irodori::cpu {
namespace {

bool IsReal(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

void RoundPlain(std::span<const float> data, DType dtype, std::byte* out) {
  auto* bits = reinterpret_cast<uint16_t*>(out);
  if (dtype == DType::kF32) {
    std::memcpy(out, data.data(), data.size_bytes());
  } else if (dtype == DType::kBF16) {
    BF16FromFloats(data, bits);
  } else {
    F16FromFloats(data, bits);
  }
}

// One parameter being packed, in blocks that are worth a thread's turn: panels, or runs of values.
struct Stretches {
  const KernelTable& kernels;
  const ParamSpec& spec;
  const ValueSource& values;
  AbortFlag abort;
  std::byte* out;
  int64_t n, k;       // kPlain: [values, 1]; else [n, k]
  int64_t rows;       // of a block; of the last one maybe fewer
  int64_t row_bytes;  // of `rows` rows in `out`, divided by them
  float* scales;      // i8: of every output
  int32_t* sums;      // likewise

  int64_t blocks() const { return CeilDiv(n, rows); }

  Status Block(int64_t block, Scratch& scratch) const {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    const int64_t first = block * rows;
    const int64_t count = std::min(rows, n - first);
    std::byte* to = out + first * row_bytes;
    if (spec.packing == Packing::kPlain && spec.dtype == DType::kF32) {
      const std::span<float> place(reinterpret_cast<float*>(to), static_cast<size_t>(count));
      return values.Read(first, place, scratch, abort);
    }
    Scratch::Loan<float> stretch(scratch, count * k);
    IRODORI_RETURN_IF_ERROR(values.Read(first * k, stretch.values(), scratch, abort));
    if (IsInt8(spec.dtype)) {
      return PackInt8(stretch.values().data(), count, k, spec.dtype, kernels.tile, to,
                      scales + first, sums + first, abort);
    }
    if (spec.packing == Packing::kGemm) {
      return PackGemm(stretch.values().data(), count, k, spec.dtype, kernels.tile, to, abort);
    }
    if (spec.packing == Packing::kUpsample) {
      Scratch::Loan<float> folded(scratch, FoldedScratch(k, kernels.tile));
      return PackFolded(stretch.values().data(), count, k, spec.dtype, kernels.tile,
                        folded.values().data(), to, abort);
    }
    RoundPlain(stretch.values(), spec.dtype, to);
    return Status::Ok();
  }
};

// All blocks, by the team where there are several. The first failure is told, and ends the rest.
class Packers {
 public:
  Packers(const Stretches& stretches, int threads)
      : stretches_(stretches), scratch_(static_cast<size_t>(threads)) {}

  Status Run(ThreadTeam& team) {
    if (stretches_.blocks() == 1) {
      Block(0, 0);
    } else {
      team.ParallelFor(
          stretches_.blocks(),
          [](void* self, int64_t block, int thread) {
            static_cast<Packers*>(self)->Block(block, thread);
          },
          this);
    }
    return std::move(failure_);
  }

 private:
  void Block(int64_t block, int thread) {
    if (failed_.load(std::memory_order_relaxed)) return;
    Status status;
    try {
      status = stretches_.Block(block, scratch_[static_cast<size_t>(thread)]);
    } catch (const std::bad_alloc&) {
      Fail({Code::kOutOfMemory, "pack: no memory"});  // short enough to need none itself
      return;
    }
    if (!status.ok()) Fail(std::move(status));
  }

  void Fail(Status status) {
    const std::lock_guard lock(mutex_);
    if (!failed_.exchange(true)) failure_ = std::move(status);
  }

  const Stretches& stretches_;
  std::vector<Scratch> scratch_;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  Status failure_;
};

}  // namespace

Result<std::shared_ptr<Pack>> CpuPack::Make(const KernelTable& kernels, const ParamSpec& spec,
                                            const ValueSource& values, ThreadTeam& team,
                                            AbortFlag abort) {
  IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
  const int64_t size = Elements(values.shape());
  if (Elements(spec.shape) != size) {
    return Status(Code::kShapeMismatch,
                  Message("pack: expected ", std::span<const int64_t>(spec.shape), ", got ",
                          std::span<const int64_t>(values.shape())));
  }
  const bool plain = spec.packing == Packing::kPlain;
  const bool int8 = spec.packing == Packing::kGemm && IsInt8(spec.dtype);
  if (!(IsReal(spec.dtype) || int8) || (!plain && spec.shape.empty())) {
    return Status(Code::kDtypeMismatch, "pack: expected real numbers, in panels of rank 1 or more");
  }
  const GemmTile& tile = kernels.tile;
  const int64_t n = plain ? size : spec.shape[0];
  const int64_t k = plain ? 1 : n == 0 ? 0 : size / n;
  const bool folded = spec.packing == Packing::kUpsample;
  if (folded && k % 9 != 0) {
    return Status(Code::kShapeMismatch,
                  Message("pack: expected weights of 3x3 convolutions, [O, 9 C], got ",
                          std::span<const int64_t>(spec.shape)));
  }
  const int64_t row_values = plain    ? 1
                             : folded ? kParities * GemmDepth(FoldedTerms(k), spec.dtype, tile)
                                      : GemmDepth(k, spec.dtype, tile);
  const int64_t row_bytes = row_values * DTypeBytes(spec.dtype);
  const int64_t unit = plain ? 1 : tile.lanes;
  const int64_t outputs = RoundUp(n, unit);
  const int64_t panel_bytes = outputs * row_bytes;
  const int64_t bytes =
      panel_bytes + (int8 ? outputs * int64_t{sizeof(float) + sizeof(int32_t)} : 0);
  HostMemory memory = HostMemory::InLargePages(bytes);
  if (memory.data() == nullptr) return NoHostMemory("pack", bytes);
  const int64_t units = std::max<int64_t>(kStretchValues / std::max<int64_t>(unit * k, 1), 1);
  auto* scales = reinterpret_cast<float*>(memory.data() + panel_bytes);
  auto* sums = reinterpret_cast<int32_t*>(scales + outputs);
  const Stretches stretches{kernels, spec,         values,    abort,  memory.data(), n,
                            k,       unit * units, row_bytes, scales, sums};
  if (size > 0) {
    IRODORI_RETURN_IF_ERROR(Packers(stretches, team.threads()).Run(team));
  }
  return std::shared_ptr<Pack>(
      std::shared_ptr<CpuPack>(new CpuPack(kernels, spec, std::move(memory), panel_bytes)));
}

}  // namespace irodori::cpu
