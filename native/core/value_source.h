// Values that are made a stretch at a time: what packs are made of.
#pragma once

#include <cstdint>
#include <span>

#include "native/core/abort.h"
#include "native/core/program.h"
#include "native/core/scratch.h"
#include "native/core/status.h"

namespace irodori {

// A tensor in float32, row-major, that nobody needs to hold whole.
class ValueSource {
 public:
  virtual ~ValueSource() = default;
  virtual const Shape& shape() const = 0;
  // Fills `out` with the values from `first` on, within the tensor. Several threads may read at a
  // time, each with a scratch of its own. Throws bad_alloc.
  virtual Status Read(int64_t first, std::span<float> out, Scratch& scratch,
                      AbortFlag abort) const = 0;
};

// Values of one stretch that is read at a time: a quarter of a millisecond's work, and small enough
// for a core's own cache with everything that is made of it.
inline constexpr int64_t kStretchValues = 1 << 16;

}  // namespace irodori
