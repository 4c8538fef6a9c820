// The flag that cancels a call, and looking at it while working through many elements.
#pragma once

#include <atomic>
#include <cstdint>

#include "native/core/status.h"

namespace irodori {

// Null: a call that nobody cancels.
using AbortFlag = const std::atomic<bool>*;

inline bool IsSet(AbortFlag abort) {
  return abort != nullptr && abort->load(std::memory_order_relaxed);
}

// kAborted when the flag is set. The text needs no memory.
inline Status CheckAbort(AbortFlag abort) {
  return IsSet(abort) ? Status(Code::kAborted, "aborted") : Status::Ok();
}

// Work on host memory between two looks: a fraction of a millisecond.
inline constexpr int64_t kAbortBytes = 1 << 20;

}  // namespace irodori
