// The cpu device: chooses a kernel family, and makes packs, executables and lanes for it.
#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "native/core/backend.h"
#include "native/core/message.h"
#include "native/core/usable_memory.h"
#include "native/cpu/cpu_features.h"
#include "native/cpu/executable.h"
#include "native/cpu/peak.h"

namespace irodori {
namespace cpu {
namespace {

// Keys per block of online softmax.
constexpr int kAttentionKeyBlock = 64;
constexpr int kMaxThreads = 1024;

struct Family {
  const char* name;
  const KernelTable& (*kernels)();
  bool native;               // runs here at full width
  bool runs;                 // natively, or emulated
  std::string_view missing;  // why not
};

// From the widest on. Families that were not compiled for this processor have no kernels and a
// reason in `cpu`.
std::array<Family, 5> Families() {
  const CpuFeatures& cpu = DetectCpu();
#ifdef IRODORI_EMULATED_UNITS
  const bool emulated = cpu.avx2;
  const bool avx512 = false, avx512_bf16 = false, amx = false;
#else
  const bool emulated = false;
  const bool avx512 = cpu.avx512, avx512_bf16 = cpu.avx512_bf16, amx = cpu.amx;
#endif
#if IRODORI_X86
  constexpr auto kAmx = &AmxKernels, kAvx512Bf16 = &Avx512Bf16Kernels, kAvx512 = &Avx512Kernels,
                 kAvx2 = &Avx2Kernels;
#else
  constexpr const KernelTable& (*kAmx)() = nullptr;
  constexpr auto kAvx512Bf16 = kAmx, kAvx512 = kAmx, kAvx2 = kAmx;
#endif
  return {{
      {"amx", kAmx, amx, amx || emulated, cpu.amx_reason},
      {"avx512_bf16", kAvx512Bf16, avx512_bf16 && cpu.full_rate_bf16, avx512_bf16 || emulated,
       cpu.avx512_bf16_reason},
      {"avx512", kAvx512, avx512, avx512 || emulated, cpu.avx512_reason},
      {"avx2", kAvx2, cpu.avx2, cpu.avx2, cpu.avx2_reason},
      {"portable", &PortableKernels, true, true, ""},
  }};
}

Status NoMemory(std::string_view what) {
  return {Code::kOutOfMemory, Message(what, ": expected memory, got none")};
}

// A tensor in memory, read in stretches.
class TensorValues final : public ValueSource {
 public:
  explicit TensorValues(const HostTensor& tensor) : tensor_(tensor) {}
  const Shape& shape() const override { return tensor_.shape; }
  Status Read(int64_t first, std::span<float> out, Scratch&, AbortFlag) const override {
    std::copy_n(tensor_.data.begin() + first, out.size(), out.begin());
    return Status::Ok();
  }

 private:
  const HostTensor& tensor_;
};

class CpuDevice final : public Device {
 public:
  CpuDevice(const KernelTable& kernels, DeviceInfo info, std::shared_ptr<ThreadTeam> team)
      : kernels_(kernels), info_(std::move(info)), team_(std::move(team)) {}

  const DeviceInfo& info() const override { return info_; }

  Result<std::shared_ptr<Pack>> MakePack(const ParamSpec& spec, const HostTensor& tensor,
                                         AbortFlag abort) override try {
    const auto size = static_cast<int64_t>(tensor.data.size());
    if (Elements(tensor.shape) != size) {
      return Status(Code::kShapeMismatch,
                    Message("pack: expected values for ", std::span<const int64_t>(tensor.shape),
                            ", got ", size));
    }
    return CpuPack::Make(kernels_, spec, TensorValues(tensor), *team_, abort);
  } catch (const std::bad_alloc&) {
    return NoMemory("pack");
  }

  Result<std::shared_ptr<Pack>> MakePackFrom(const ParamSpec& spec, const ValueSource& values,
                                             AbortFlag abort) override try {
    return CpuPack::Make(kernels_, spec, values, *team_, abort);
  } catch (const std::bad_alloc&) {
    return NoMemory("pack");
  }

  Result<std::shared_ptr<Buffer>> Allocate(int64_t size_bytes) override try {
    return HostBuffer::Allocate(size_bytes);
  } catch (const std::bad_alloc&) {
    return NoMemory("buffer");
  }

  Result<std::unique_ptr<Executable>> Bind(std::shared_ptr<const Program> program,
                                           std::vector<std::shared_ptr<Pack>> packs,
                                           AbortFlag abort) override try {
    return CpuExecutable::Make(kernels_, std::move(program), packs, abort);
  } catch (const std::bad_alloc&) {
    return NoMemory("bind");
  }

  Result<std::unique_ptr<Lane>> OpenLane() override try {
    return std::unique_ptr<Lane>(std::make_unique<CpuLane>(team_));
  } catch (const std::bad_alloc&) {
    return NoMemory("lane");
  }

  Status Run(Lane& lane, const Executable& executable, const RunArgs& args) override try {
    auto* cpu_lane = dynamic_cast<CpuLane*>(&lane);
    const auto* bound = dynamic_cast<const CpuExecutable*>(&executable);
    if (cpu_lane == nullptr || bound == nullptr || &bound->kernels() != &kernels_ ||
        cpu_lane->team != team_) {
      return {Code::kInvalidArgument,
              "run: expected a lane and an executable of this device, got another's"};
    }
    return bound->RunOn(*cpu_lane, args);
  } catch (const std::bad_alloc&) {
    return NoMemory("run");
  }

  Result<double> MeasurePeak(Lane& lane, const PeakArgs& args) override try {
    const auto* cpu_lane = dynamic_cast<CpuLane*>(&lane);
    if (cpu_lane == nullptr || cpu_lane->team != team_) {
      return Status(Code::kInvalidArgument, "peak: expected a lane of this device, got another's");
    }
    return cpu::MeasurePeak(kernels_.name, args.name, *team_, args.threads, args.time, args.abort);
  } catch (const std::bad_alloc&) {
    return NoMemory("peak");
  }

 private:
  const KernelTable& kernels_;
  DeviceInfo info_;
  std::shared_ptr<ThreadTeam> team_;
};

// The family asked for, or the widest that runs natively.
Result<Family> ChooseFamily(const std::string& instructions) {
  for (const Family& family : Families()) {
    const bool automatic = instructions == "auto";
    if (automatic ? family.native : instructions == family.name) {
      if (family.runs) return family;
      return Status(Code::kUnavailableDevice,
                    Message("cpu: expected a machine with ", family.name, ": ", family.missing));
    }
  }
  return Status(
      Code::kInvalidOption,
      Message("cpu: expected instructions auto, portable, avx2, avx512, avx512_bf16 or amx, got ",
              Quoted(instructions)));
}

// Products for which the family's int8 beats its float32 forms, Winograd's convolutions included
// (docs/performance.md).
std::vector<Kernel> Int8Products(std::string_view family) {
  const CpuFeatures& cpu = DetectCpu();
  if (family == "amx" && cpu.amx_int8) return {Kernel::kMatmul, Kernel::kConv2d};
  if (family.starts_with("avx512") && cpu.avx512_vnni) return {Kernel::kMatmul, Kernel::kConv2d};
  if (family == "avx2") return {Kernel::kMatmul};
  return {};
}

// Why nothing wider than the chosen family runs; empty when it was chosen by name.
std::string WhyNotWider(const CpuOptions& options, const Family& chosen) {
  if (options.instructions != "auto") return "";
  std::string reason;
  for (const Family& family : Families()) {
    if (std::string_view(family.name) == chosen.name) break;
    if (family.missing.empty()) continue;
    reason += Message(reason.empty() ? "" : "; ", family.name, ": ", family.missing);
  }
  return reason;
}

}  // namespace
}  // namespace cpu

Result<std::unique_ptr<Device>> OpenCpuDevice(const CpuOptions& options) try {
  const Result<cpu::Family> chosen = cpu::ChooseFamily(options.instructions);
  IRODORI_RETURN_IF_ERROR(chosen.status());
  if (options.threads < 0 || options.threads > cpu::kMaxThreads) {
    return Status(Code::kInvalidOption, Message("cpu: expected 0 to ", cpu::kMaxThreads,
                                                " threads, got ", options.threads));
  }
  std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(options.threads);
  DeviceInfo info;
  info.backend = "cpu";
  info.name = cpu::DetectCpu().name;
  info.arithmetic = chosen.value().name;
  info.reason = cpu::WhyNotWider(options, chosen.value());
  info.dtypes = {DType::kF32, DType::kBF16, DType::kF16};
  const bool tiles = chosen.value().kernels().gemm_bf16 != nullptr;
  info.preferred_dtype = tiles ? DType::kBF16 : DType::kF32;
  info.threads = team->threads();
  info.memory_bytes = UsableMemoryBytes();
  info.attention_key_block = cpu::kAttentionKeyBlock;
  info.winograd_tiles = {2, 4};
  // AMX tiles do more multiplications in the time than Winograd saves, all tiles of bf16 than
  // Strassen.
  info.winograd_dtypes = info.strassen_dtypes = {DType::kF32, DType::kF16};
  if (info.arithmetic != "amx") info.winograd_dtypes.push_back(DType::kBF16);
  if (!tiles) info.strassen_dtypes.push_back(DType::kBF16);
  info.upsampled_conv2d = true;
  info.widened_dtypes = {DType::kBF16, DType::kF16};
  info.int8_products = cpu::Int8Products(info.arithmetic);
  info.int8_sums = info.arithmetic == "avx2" ? 16 : 32;  // vpmaddubsw
  info.peaks = cpu::PeakNames(info.arithmetic);
  return std::unique_ptr<Device>(
      std::make_unique<cpu::CpuDevice>(chosen.value().kernels(), std::move(info), std::move(team)));
} catch (const std::bad_alloc&) {
  return cpu::NoMemory("cpu");
}

}  // namespace irodori
