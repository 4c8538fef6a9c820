// Binds programs and runs them step by step.
#include "native/cpu/executable.h"

#include <iterator>

#include "native/core/step_clock.h"

namespace irodori::cpu {
namespace {

using PlanFunction = Result<StepPlan> (*)(const PlanContext&, const Step&);
// In the order of Kernel.
constexpr PlanFunction kPlans[] = {
    PlanMatmul,        PlanConv2d,         PlanAttention,         PlanLayerNorm, PlanGroupNorm,
    PlanRmsNorm,       PlanSoftmax,        PlanElementwise,       PlanEmbedding, PlanStridedCopy,
    PlanResizeNearest, PlanResizeBilinear, PlanTimestepEmbedding,
};
static_assert(std::size(kPlans) == kKernelCount, "a plan per kernel, in the order of kernels.def");

std::byte* BindingData(const RowBinding& binding) {
  if (binding.host != nullptr) return binding.host;
  return static_cast<HostBuffer*>(binding.buffer)->data() + binding.offset;
}

// A product widens matrices of either 16-bit type.
bool Fits(const ParamSpec& pack, const ParamSpec& param) {
  const bool widened = param.packing == Packing::kGemm && param.dtype == DType::kF32 &&
                       (pack.dtype == DType::kBF16 || pack.dtype == DType::kF16);
  return pack.packing == param.packing && pack.shape == param.shape &&
         (pack.dtype == param.dtype || widened);
}

Status CheckPack(const Program& program, size_t index, const KernelTable& kernels,
                 const CpuPack* pack) {
  const ParamSpec& spec = program.params[index];
  if (pack != nullptr && &pack->kernels() == &kernels && Fits(pack->spec(), spec)) {
    return Status::Ok();
  }
  return {Code::kInvalidArgument,
          Message("bind(", program.name, "): expected a pack of this device for param ", index, " ",
                  std::span<const int64_t>(spec.shape), ", got ",
                  pack == nullptr ? "another" : "one of other shape, type or packing")};
}

}  // namespace

Result<std::unique_ptr<Executable>> CpuExecutable::Make(
    const KernelTable& kernels, std::shared_ptr<const Program> program,
    const std::vector<std::shared_ptr<Pack>>& packs, AbortFlag abort) {
  if (packs.size() != program->params.size()) {
    return Status(Code::kInvalidArgument,
                  Message("bind(", program->name, "): expected ", program->params.size(),
                          " packs, got ", packs.size()));
  }
  std::unique_ptr<CpuExecutable> executable(new CpuExecutable(kernels, program));
  for (size_t i = 0; i < packs.size(); ++i) {
    std::shared_ptr<CpuPack> pack = std::dynamic_pointer_cast<CpuPack>(packs[i]);
    IRODORI_RETURN_IF_ERROR(CheckPack(*program, i, kernels, pack.get()));
    executable->packs_.push_back(std::move(pack));
  }
  const PlanContext context{*program, kernels, executable->packs_};
  for (const Step& step : program->steps) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    Result<StepPlan> plan = kPlans[static_cast<size_t>(step.kernel)](context, step);
    IRODORI_RETURN_IF_ERROR(plan.status());
    executable->steps_.push_back(std::move(plan).value());
  }
  return std::unique_ptr<Executable>(std::move(executable));
}

void CpuExecutable::ResolveSources(CpuLane& lane, const RunArgs& args) const {
  const Program& program = *program_;
  lane.bindings.clear();
  for (const RowBinding& binding : args.inputs) lane.bindings.push_back(BindingData(binding));
  for (const RowBinding& binding : args.outputs) lane.bindings.push_back(BindingData(binding));
  std::byte** const inputs = lane.bindings.data();
  std::byte** const outputs = inputs + args.inputs.size();
  lane.sources.assign(program.buffers.size(), RowSource{});
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const BufferSpec& spec = program.buffers[i];
    const auto index = static_cast<int64_t>(spec.index);
    RowSource& source = lane.sources[i];
    switch (spec.storage) {
      case StorageKind::kArena:
        source.base = lane.arena.data() + args.rows * static_cast<int64_t>(spec.offset);
        source.stride = spec.row_bytes();
        break;
      case StorageKind::kInput:
        source.table = inputs + index * args.rows;
        break;
      case StorageKind::kOutput:
        source.table = outputs + index * args.rows;
        break;
      case StorageKind::kParam:
        source.base = packs_[spec.index]->data();
        break;
      case StorageKind::kView:
        break;
    }
  }
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const BufferSpec& spec = program.buffers[i];
    if (spec.storage != StorageKind::kView) continue;
    lane.sources[i] = lane.sources[spec.index];
    lane.sources[i].offset += static_cast<int64_t>(spec.offset);
  }
}

Status CpuExecutable::RunOn(CpuLane& lane, const RunArgs& args) const {
  IRODORI_RETURN_IF_ERROR(CheckRunArgs(*program_, args));
  const Result<int64_t> arena_bytes = RunArenaBytes(*program_, args.rows);
  IRODORI_RETURN_IF_ERROR(arena_bytes.status());
  if (lane.arena.AtLeast(arena_bytes.value()) == nullptr) {
    return NoHostMemory(Message("run(", program_->name, "): arena"), arena_bytes.value());
  }
  ResolveSources(lane, args);
  const JobSeries series(*lane.team);
  Run run(lane, *program_, kernels_, args);
  StepClock clock(args.step_ns);
  for (const StepPlan& step : steps_) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    IRODORI_RETURN_IF_ERROR(step->Execute(run));
    clock.EndStep();
  }
  return Status::Ok();
}

}  // namespace irodori::cpu
