// A program bound to packs of the CPU backend: one planned step per step.
#pragma once

#include <memory>
#include <vector>

#include "native/core/backend.h"
#include "native/cpu/planned_step.h"

namespace irodori::cpu {

class CpuExecutable final : public Executable {
 public:
  static Result<std::unique_ptr<Executable>> Make(const KernelTable& kernels,
                                                  std::shared_ptr<const Program> program,
                                                  const std::vector<std::shared_ptr<Pack>>& packs,
                                                  AbortFlag abort);

  const Program& program() const override { return *program_; }
  const KernelTable& kernels() const { return kernels_; }

  // The arguments are checked here.
  Status RunOn(CpuLane& lane, const RunArgs& args) const;

 private:
  CpuExecutable(const KernelTable& kernels, std::shared_ptr<const Program> program)
      : kernels_(kernels), program_(std::move(program)) {}

  // Where row 0 of every buffer is, and how to get to row r.
  void ResolveSources(CpuLane& lane, const RunArgs& args) const;

  const KernelTable& kernels_;
  std::shared_ptr<const Program> program_;
  std::vector<std::shared_ptr<CpuPack>> packs_;
  std::vector<StepPlan> steps_;
};

}  // namespace irodori::cpu
