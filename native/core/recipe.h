// Parameter recipes in postfix form, evaluated in float32 on the host: what src/graph/recipe.ts
// describes.
//
// Encoding (little-endian): u32 magic 'IRRC' (0x43525249), u32 version, then ops until the end of
// the bytes. Ops work on a stack of tensors; exactly one tensor must be left.
//
//   shape = u32 rank (<= 8) + i64 sizes (>= 1)
//   0 tensor      u32 source, i64 begin, i64 end, u8 dtype, shape
//                 push bytes [begin, end) of file `source`
//   1 literal     shape, f32 values
//                 push values that stand in the recipe
//   2 slice       u32 axis, i64 start, i64 size
//                 top = top[.., start:start+size, ..]
//   3 concat      u32 count (>= 1), u32 axis
//                 pop count tensors (the last on top), push them joined
//   4 reshape     shape
//                 top = same values, other shape
//   5 permute     u32 rank + u32 axis...
//                 axis i of the new top is axis order[i] of the old
//   6 addLowRank  f32 scale
//                 pop down [r, ...rest] and up [O, r]; top [O, ...rest] += scale · up · down
//
// dtype is in the order of src/tensor/dtype.ts; only f32, f16 and bf16 can be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "native/core/backend.h"
#include "native/core/source_file.h"
#include "native/core/status.h"
#include "native/core/value_source.h"

namespace irodori {

inline constexpr uint32_t kRecipeMagic = 0x43525249;
inline constexpr uint32_t kRecipeVersion = 2;

enum class RecipeOp : uint8_t {
  kTensor,
  kLiteral,
  kSlice,
  kConcat,
  kReshape,
  kPermute,
  kAddLowRank
};

// Most bytes of float32 that one evaluation may hold at a time, where the process may use as much;
// a recipe that would need more is kOutOfMemory.
inline constexpr int64_t kMaxRecipeBytes = int64_t{16} << 30;

// A recipe whose form, shapes and ranges are checked, the files' sizes included, and of which
// nothing has been read.
class Recipe : public ValueSource {
 public:
  // kInvalidArgument when it is malformed, kInvalidSafetensors when a file is shorter than its
  // index said, kUnsupportedFormat for element types that cannot be read. Keeps the sources, and
  // copies what it needs of `bytes`.
  static Result<std::unique_ptr<Recipe>> Parse(
      std::span<const std::byte> bytes, std::span<const std::shared_ptr<const SourceFile>> sources);

  // Tells the system which parts of files will be read, and makes what must be held whole to be
  // read in stretches. Once, before any Read.
  virtual Status Prepare(AbortFlag abort) = 0;
  // Gives the pages of what was read back to the system.
  virtual void Finish() const = 0;
};

// The whole tensor: Parse, Prepare, Read, Finish. kAborted when `abort` is set; it is looked at
// about every kAbortBytes.
Result<HostTensor> EvaluateRecipe(std::span<const std::byte> bytes,
                                  std::span<const std::shared_ptr<const SourceFile>> sources,
                                  AbortFlag abort = nullptr);

}  // namespace irodori
