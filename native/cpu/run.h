// A run in progress, and how a step of it spreads its blocks over the threads.
#pragma once

#include <array>
#include <string>
#include <tuple>
#include <utility>

#include "native/core/message.h"
#include "native/core/operands.h"
#include "native/cpu/family.h"
#include "native/cpu/lane.h"

namespace irodori::cpu {

// Steps with less work than this many multiply-adds stay on the calling thread: about as long as it
// takes to wake another one (2 us). Which thread computes a block never shows in its bits.
inline constexpr int64_t kInlineWork = 60'000;

// Calls body(block, scratch) for `count` blocks.
template <typename Body>
struct Blocks {
  int64_t count;
  Body body;
};

// A kernel's blocks. The args must outlive the run of them.
template <typename Args>
auto KernelBlocks(int64_t count, BlockKernel<Args> kernel, const Args& args) {
  return Blocks{
      count, [kernel, &args](int64_t block, std::byte* scratch) { kernel(args, block, scratch); }};
}

class Run {
 public:
  Run(CpuLane& lane, const Program& program, const KernelTable& kernels, const RunArgs& args)
      : lane_(lane), program_(program), kernels_(kernels), rows_(args.rows), abort_(args.abort) {}

  int64_t rows() const { return rows_; }
  int threads() const { return lane_.team->threads(); }
  const KernelTable& kernels() const { return kernels_; }
  CpuLane& lane() { return lane_; }

  const RowSource& source(uint32_t buffer) const { return lane_.sources[buffer]; }
  OperandRow operand(uint32_t buffer, int64_t row) const {
    const BufferSpec& spec = program_.buffers[buffer];
    return {RowAt(source(buffer), row), spec.dtype, spec.vectors(), spec.columns(), spec.pitch};
  }

  bool aborted() const { return IsSet(abort_); }

  // Memory between the phases of a step.
  Result<std::byte*> Shared(int64_t size_bytes) {
    std::byte* data = lane_.shared.AtLeast(size_bytes);
    if (data == nullptr) return NoHostMemory("run: scratch", size_bytes);
    return data;
  }

  // Calls body(block, scratch) for every block, on all threads when `work` (multiply-adds of all
  // blocks) is worth it.
  template <typename Body>
  Status ForBlocks(int64_t blocks, int64_t work, int64_t scratch_bytes, const Body& body) {
    return ForPhases(work, scratch_bytes, Blocks{blocks, body});
  }

  template <typename Args>
  Status ForBlocks(int64_t blocks, int64_t work, int64_t scratch_bytes, BlockKernel<Args> kernel,
                   const Args& args) {
    return ForPhases(work, scratch_bytes, KernelBlocks(blocks, kernel, args));
  }

  // Some phases one after another, all blocks of one before those of the next: cheaper than as many
  // calls of ForBlocks, which have all threads wait for a new job in between.
  template <typename... Bodies>
  Status ForPhases(int64_t work, int64_t scratch_bytes, const Blocks<Bodies>&... phases) {
    static_assert(sizeof...(phases) <= kMostPhases);
    for (GrowingMemory& memory : lane_.scratch) {
      if (memory.AtLeast(scratch_bytes) == nullptr)
        return NoHostMemory("run: scratch", scratch_bytes);
    }
    if (threads() > 1 && work >= kInlineWork && ((phases.count > 1) || ...)) {
      std::tuple<Job<Bodies>...> jobs(Job<Bodies>{*this, phases}...);
      lane_.team->RunPhases(
          std::apply([](auto&... job) { return std::array{job.Phase()...}; }, jobs));
    } else {
      (RunInline(phases), ...);
    }
    return CheckAbort(abort_);
  }

 private:
  template <typename Body>
  struct Job {
    Run& run;
    const Blocks<Body>& blocks;
    JobPhase Phase() { return {blocks.count, &Block, this}; }
    static void Block(void* self, int64_t block, int thread) {
      const Job& job = *static_cast<Job*>(self);
      if (!job.run.aborted())
        job.blocks.body(block, job.run.lane_.scratch[static_cast<size_t>(thread)].data());
    }
  };

  template <typename Body>
  void RunInline(const Blocks<Body>& phase) {
    Job<Body> job{*this, phase};
    for (int64_t block = 0; block < phase.count; ++block) Job<Body>::Block(&job, block, 0);
  }

  CpuLane& lane_;
  const Program& program_;
  const KernelTable& kernels_;
  const int64_t rows_;
  const AbortFlag abort_;
};

}  // namespace irodori::cpu
