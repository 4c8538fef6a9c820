// Parameters in the memory of the CPU backend.
#pragma once

#include <memory>

#include "native/core/backend.h"
#include "native/core/host_memory.h"
#include "native/cpu/family.h"

namespace irodori::cpu {

class CpuPack final : public Pack {
 public:
  // kGemm: panels of the family's lanes. kPlain: row-major in the parameter's type.
  static Result<std::shared_ptr<Pack>> Make(const KernelTable& kernels, const ParamSpec& spec,
                                            const HostTensor& tensor, AbortFlag abort);

  int64_t size_bytes() const override { return memory_.size_bytes(); }
  std::byte* data() const { return memory_.data(); }
  const ParamSpec& spec() const { return spec_; }
  const KernelTable& kernels() const { return kernels_; }

 private:
  CpuPack(const KernelTable& kernels, ParamSpec spec, HostMemory memory)
      : kernels_(kernels), spec_(std::move(spec)), memory_(std::move(memory)) {}

  const KernelTable& kernels_;
  ParamSpec spec_;
  HostMemory memory_;
};

}  // namespace irodori::cpu
