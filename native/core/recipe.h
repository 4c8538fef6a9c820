// Parameter recipes in postfix form, evaluated in float32 on the host: what src/graph/recipe.ts
// describes.
//
// Encoding (little-endian): u32 magic 'IRRC' (0x43525249), u32 version, then ops until the end of
// the bytes. Ops work on a stack of tensors; exactly one tensor must be left.
//   shape = u32 rank (<= 8) + i64 sizes (>= 1)
//   0 tensor  = u32 source, i64 begin, i64 end, u8 dtype, shape   push bytes [begin, end) of file
//   `source` 1 literal = shape, f32 values                                 push values that stand
//   in the recipe 2 slice   = u32 axis, i64 start, i64 size                     top = top[..,
//   start:start+size, ..] 3 concat  = u32 count (>= 1), u32 axis                        pop count
//   tensors (the last on top), push them joined 4 reshape = shape top = same values, other shape 5
//   permute = u32 rank + u32 axis...                            axis i of the new top is axis
//   order[i] of the old
// dtype is in the order of src/tensor/dtype.ts; only f32, f16 and bf16 can be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "native/core/backend.h"
#include "native/core/source_file.h"
#include "native/core/status.h"

namespace irodori {

inline constexpr uint32_t kRecipeMagic = 0x43525249;
inline constexpr uint32_t kRecipeVersion = 1;

enum class RecipeOp : uint8_t { kTensor, kLiteral, kSlice, kConcat, kReshape, kPermute };

// Most bytes of float32 that one evaluation may hold at a time, where the process may use as much;
// a recipe that would need more is kOutOfMemory.
inline constexpr int64_t kMaxRecipeBytes = int64_t{16} << 30;

// Checks the whole recipe, ranges against the files' sizes included, before reading anything.
// kInvalidArgument when it is malformed, kInvalidSafetensors when a file is shorter than its index
// said, kUnsupportedFormat for element types that cannot be read, kAborted when `abort` is set; it
// is looked at about every kAbortBytes.
Result<HostTensor> EvaluateRecipe(std::span<const std::byte> recipe,
                                  std::span<const std::shared_ptr<const SourceFile>> sources,
                                  AbortFlag abort = nullptr);

}  // namespace irodori
