// A lane of the CPU backend: the thread team it works with, its arena, and the scratch of every
// thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "native/core/backend.h"
#include "native/core/host_memory.h"
#include "native/core/thread_team.h"
#include "native/cpu/args.h"

namespace irodori::cpu {

// Memory that grows and never shrinks; what it held is lost when it grows.
class GrowingMemory {
 public:
  // At least `size_bytes`, 64-byte aligned; null when they could not be had.
  std::byte* AtLeast(int64_t size_bytes) {
    if (memory_.data() == nullptr || size_bytes > memory_.size_bytes()) {
      memory_ = HostMemory();
      memory_ = HostMemory::InLargePages(size_bytes);
    }
    return memory_.data();
  }
  std::byte* data() const { return memory_.data(); }
  int64_t size_bytes() const { return memory_.size_bytes(); }

 private:
  HostMemory memory_;
};

class CpuLane final : public Lane {
 public:
  explicit CpuLane(std::shared_ptr<ThreadTeam> team)
      : team(std::move(team)), scratch(static_cast<size_t>(this->team->threads())) {}

  // The arena with all scratch beside it.
  int64_t arena_bytes() const override {
    int64_t bytes = arena.size_bytes() + shared.size_bytes();
    for (const GrowingMemory& memory : scratch) bytes += memory.size_bytes();
    return bytes;
  }

  std::shared_ptr<ThreadTeam> team;
  GrowingMemory arena;
  GrowingMemory shared;                // between the phases of a step
  std::vector<GrowingMemory> scratch;  // one per thread
  // Of the run in progress; kept for their capacity.
  std::vector<std::byte*> bindings;
  std::vector<RowSource> sources;
  std::vector<EpilogueStep> chain;
  std::vector<int64_t> lengths;
};

}  // namespace irodori::cpu
