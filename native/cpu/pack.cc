// Rounds parameters to their type and lays them out for the kernels.
#include "native/cpu/pack.h"

#include <algorithm>
#include <cstring>

#include "native/core/float_types.h"
#include "native/core/message.h"

namespace irodori::cpu {
namespace {

bool IsReal(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

void RoundPlain(std::span<const float> data, DType dtype, std::byte* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, data.data(), data.size_bytes());
    return;
  }
  auto* bits = reinterpret_cast<uint16_t*>(out);
  for (size_t i = 0; i < data.size(); ++i) {
    bits[i] = dtype == DType::kBF16 ? BF16FromFloat(data[i]) : F16FromFloat(data[i]);
  }
}

Status PackPlain(std::span<const float> data, DType dtype, std::byte* out, AbortFlag abort) {
  constexpr size_t kPiece = kAbortBytes / sizeof(float);
  while (!data.empty()) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
    const size_t count = std::min(kPiece, data.size());
    RoundPlain(data.first(count), dtype, out);
    data = data.subspan(count);
    out += static_cast<int64_t>(count) * DTypeBytes(dtype);
  }
  return Status::Ok();
}

}  // namespace

Result<std::shared_ptr<Pack>> CpuPack::Make(const KernelTable& kernels, const ParamSpec& spec,
                                            const HostTensor& tensor, AbortFlag abort) {
  const auto size = static_cast<int64_t>(tensor.data.size());
  if (Elements(spec.shape) != size || Elements(tensor.shape) != size) {
    return Status(Code::kShapeMismatch,
                  Message("pack: expected ", std::span<const int64_t>(spec.shape), ", got ",
                          std::span<const int64_t>(tensor.shape), " with ", size, " values"));
  }
  if (!IsReal(spec.dtype) || (spec.packing == Packing::kGemm && spec.shape.empty())) {
    return Status(Code::kDtypeMismatch,
                  "pack: expected real numbers, in gemm packing of rank 1 or more");
  }
  const bool gemm = spec.packing == Packing::kGemm;
  const int64_t n = gemm ? spec.shape[0] : 1;
  const int64_t k = n == 0 ? 0 : size / n;
  const int64_t bytes =
      gemm ? GemmPackBytes(n, k, spec.dtype, kernels.tile) : size * DTypeBytes(spec.dtype);
  HostMemory memory(bytes);
  if (memory.data() == nullptr) return NoHostMemory("pack", bytes);
  IRODORI_RETURN_IF_ERROR(
      gemm ? PackGemm(tensor.data.data(), n, k, spec.dtype, kernels.tile, memory.data(), abort)
           : PackPlain(tensor.data, spec.dtype, memory.data(), abort));
  return std::shared_ptr<Pack>(
      std::shared_ptr<CpuPack>(new CpuPack(kernels, spec, std::move(memory))));
}

}  // namespace irodori::cpu
