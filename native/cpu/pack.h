// Parameters in the memory of the CPU backend.
#pragma once

#include <memory>

#include "native/core/backend.h"
#include "native/core/host_memory.h"
#include "native/core/thread_team.h"
#include "native/core/value_source.h"
#include "native/cpu/family.h"

namespace irodori::cpu {

class CpuPack final : public Pack {
 public:
  // kGemm: panels of the family's lanes. kUpsample: such panels of folded weights. kPlain:
  // row-major in the parameter's type. In i8 with a scale for every output behind them. Stretches
  // of a large one are read and packed by all threads of the team.
  static Result<std::shared_ptr<Pack>> Make(const KernelTable& kernels, const ParamSpec& spec,
                                            const ValueSource& values, ThreadTeam& team,
                                            AbortFlag abort);

  int64_t size_bytes() const override { return memory_.size_bytes(); }
  std::byte* data() const { return memory_.data(); }
  const ParamSpec& spec() const { return spec_; }
  // In i8: of every output, filled up to whole panels: its scale, and the sum of its integers.
  const float* scales() const { return reinterpret_cast<const float*>(data() + panel_bytes_); }
  const int32_t* sums() const {
    return reinterpret_cast<const int32_t*>(data() + (panel_bytes_ + memory_.size_bytes()) / 2);
  }
  const KernelTable& kernels() const { return kernels_; }

 private:
  CpuPack(const KernelTable& kernels, ParamSpec spec, HostMemory memory, int64_t panel_bytes)
      : kernels_(kernels),
        spec_(std::move(spec)),
        memory_(std::move(memory)),
        panel_bytes_(panel_bytes) {}

  const KernelTable& kernels_;
  ParamSpec spec_;
  HostMemory memory_;
  int64_t panel_bytes_;
};

}  // namespace irodori::cpu
