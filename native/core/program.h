// The decoded Program: a flat list of steps over a buffer table for one row, verified before anyone
// sees it.
//
// Encoding (little-endian; written by src/compile/encode.ts, read by DecodeProgram):
//   u32 magic 'IRPG' (0x47505249), u32 version, string name, u64 arena_bytes,
//   u32 count + BufferSpec..., u32 count + ParamSpec..., u32 count + inputs..., u32 count +
//   outputs..., u32 count + Step... string     = u32 byte length + UTF-8 shape      = u32 rank (<=
//   8) + i64 sizes BufferSpec = string name, u8 dtype, shape, i64 pitch, u8 storage kind, u64 a,
//   u64 b
//                (arena: a = offset; input, output, param: a = index; view: a = base, b = byte
//                offset)
//   ParamSpec  = u8 packing, u8 dtype, shape      (recipes stay in TypeScript: a pack is handed in
//   by index) port       = string name, u32 buffer Step       = u8 kernel, u32 count + i32 operand
//   (-1 absent)..., u32 output, u32 count + f64 attr...,
//                u32 count + (u8 op, i32 operand or -1, f64 value)..., string at
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "native/core/abort.h"
#include "native/core/status.h"

namespace irodori {

inline constexpr uint32_t kProgramMagic = 0x47505249;
inline constexpr uint32_t kProgramVersion = 3;

// In the order of src/tensor/dtype.ts: f32, f16, bf16, i32, i64, u8; behind them what only weights
// in kGemm packing are stored in: i8 with a scale for every output, and i8 of which sums with x fit
// 16 bits (quantize.h).
enum class DType : uint8_t { kF32, kF16, kBF16, kI32, kI64, kU8, kI8, kI8Sums16 };
inline constexpr int kDTypes = 8;
constexpr bool IsInt8(DType dtype) { return dtype == DType::kI8 || dtype == DType::kI8Sums16; }
constexpr int64_t Int8SumsOf(DType dtype) { return dtype == DType::kI8Sums16 ? 16 : 32; }
int64_t DTypeBytes(DType dtype);

enum class StorageKind : uint8_t { kArena, kInput, kOutput, kParam, kView };
// kPlain: row-major. kGemm: weights of products, [N, K], in the backend's own order. kUpsample:
// weights of a 3x3 convolution, [O, 9 C], made for pictures that it sees doubled (conv_form.h).
enum class Packing : uint8_t { kPlain, kGemm, kUpsample };
inline constexpr int kPackings = 3;

enum class Kernel : uint8_t {
#define KERNEL(name, text, operands, required, attrs, in_place) name,
#include "native/core/kernels.def"
#undef KERNEL
};
inline constexpr size_t kKernelCount = 0
#define KERNEL(name, text, operands, required, attrs, in_place) +1
#include "native/core/kernels.def"
#undef KERNEL
    ;
// Whether a vector of x has been read for the last time when that vector of the result is written,
// so that it may be x's own.
bool WritesInPlace(Kernel kernel);

enum class Epilogue : uint8_t {
#define EPILOGUE(name, text, operand, value) name,
#include "native/core/kernels.def"
#undef EPILOGUE
};

using Shape = std::vector<int64_t>;
int64_t Elements(std::span<const int64_t> shape);

struct BufferSpec {
  std::string name;
  DType dtype;
  Shape shape;    // of one row, channels last
  int64_t pitch;  // elements between last-axis vectors
  StorageKind storage;
  uint64_t offset = 0;  // arena: bytes for one row; view: bytes into the base's row
  uint32_t index = 0;   // input, output, param ordinal; view: base buffer
  int64_t row_bytes() const { return Elements(shape) * DTypeBytes(dtype); }
  int64_t columns() const { return shape.empty() ? 1 : shape.back(); }
  int64_t vectors() const { return columns() == 0 ? 0 : Elements(shape) / columns(); }
};

struct ParamSpec {
  Packing packing;
  DType dtype;
  Shape shape;
};

struct Port {
  std::string name;
  uint32_t buffer;
};

struct EpilogueOp {
  Epilogue op;
  int32_t operand;  // -1: none
  double value;
};

struct Step {
  Kernel kernel;
  std::vector<int32_t> operands;  // -1: left out; always max-operands long after decoding
  uint32_t output;
  std::vector<double> attrs;
  std::vector<EpilogueOp> epilogue;
  std::string at;
};

struct Program {
  std::string name;
  uint64_t arena_bytes;  // for one row
  std::vector<BufferSpec> buffers;
  std::vector<ParamSpec> params;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<Step> steps;
};

// Decodes and verifies: every index in range, shapes consistent with each kernel's rule, arena
// ranges inside, views inside their base, every read was written, no two live arena buffers
// overlap. kInvalidProgram otherwise; kAborted when `abort` is set between steps.
Result<Program> DecodeProgram(std::span<const std::byte> bytes, AbortFlag abort = nullptr);

}  // namespace irodori
