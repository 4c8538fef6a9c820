// Peaks: what an instruction set and the memory give at most, measured in the moment they are
// compared with. Nothing is looked up: clocks and neighbours change by the second.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "native/core/abort.h"
#include "native/core/status.h"
#include "native/core/thread_team.h"

namespace irodori::cpu {

// One rate, as a small piece of work that every thread repeats until the time is up.
struct Peak {
  // `fma_<family>`: float32 multiply-adds in registers. `int8_avx2`, `int8_vnni`: bytes multiplied
  // and added up in 32 bits, in registers. `tiles_bf16`, `tiles_int8`: two by two matrix tiles with
  // operands from L2, which is what bounds a kernel; from registers they would be twice as fast.
  // `memory_read`, `memory_copy`: more bytes than caches hold.
  const char* name;
  int64_t work;          // of one piece: operations (a multiply-add is two), or bytes
  int64_t memory_bytes;  // of one thread
  void (*run)(std::byte* memory, int64_t piece);
};

// Those a device of that family may use: its own and those of narrower ones, where they run here.
const std::vector<Peak>& PeaksOf(std::string_view family);

std::vector<std::string> PeakNames(std::string_view family);

// Work a second of `threads` threads of the team (0: all), over about that time.
Result<double> MeasurePeak(std::string_view family, std::string_view name, ThreadTeam& team,
                           int threads, std::chrono::nanoseconds time, AbortFlag abort);

// The pieces of the families, each in the file that is compiled for it.
namespace portable {
extern const Peak kFmaPeak;
}
namespace avx2 {
extern const Peak kFmaPeak, kInt8Peak;
}
namespace avx512 {
extern const Peak kFmaPeak, kVnniPeak;
}
namespace avx512_bf16 {
extern const Peak kBf16Peak;
}
namespace amx {
extern const Peak kTilesBf16Peak, kTilesInt8Peak;
}

}  // namespace irodori::cpu
