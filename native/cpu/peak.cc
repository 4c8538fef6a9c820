// Measures peaks: all threads repeat one piece of work until the time is up.
#include "native/cpu/peak.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "native/core/host_memory.h"
#include "native/core/message.h"
#include "native/cpu/cpu_features.h"

namespace irodori::cpu {
namespace {

using Clock = std::chrono::steady_clock;

// Of one thread: more than its share of any cache.
constexpr int64_t kMemoryBytes = int64_t{64} << 20;
constexpr int64_t kStretchBytes = int64_t{1} << 20;

// Sixteen bytes are enough to be bound by memory, and every processor has them.
typedef uint64_t Words __attribute__((vector_size(16)));

// The stretch of `memory` whose turn it is.
Words* Stretch(std::byte* memory, int64_t bytes, int64_t piece) {
  return reinterpret_cast<Words*>(memory + piece % (bytes / kStretchBytes) * kStretchBytes);
}

void ReadPiece(std::byte* memory, int64_t piece) {
  constexpr int64_t kWords = kStretchBytes / static_cast<int64_t>(sizeof(Words));
  const Words* x = Stretch(memory, kMemoryBytes, piece);
  Words sums[8] = {};
  for (int64_t i = 0; i < kWords; i += 8) {
    for (int64_t j = 0; j < 8; ++j) sums[j] ^= x[i + j];
  }
  for (int j = 1; j < 8; ++j) sums[0] ^= sums[j];
  asm volatile("" : : "r"(&sums[0]) : "memory");
}

void CopyPiece(std::byte* memory, int64_t piece) {
  constexpr int64_t kWords = kStretchBytes / static_cast<int64_t>(sizeof(Words));
  constexpr int64_t kHalf = kMemoryBytes / 2;
  const Words* x = Stretch(memory, kHalf, piece);
  Words* y = Stretch(memory + kHalf, kHalf, piece);
  // Not memcpy, whose stores may go around the cache: kernels' do not.
  const Words change = {1, 1};
  for (int64_t i = 0; i < kWords; ++i) y[i] = x[i] ^ change;
}

constexpr Peak kReadPeak{"memory_read", kStretchBytes, kMemoryBytes, &ReadPiece};
constexpr Peak kCopyPeak{"memory_copy", 2 * kStretchBytes, kMemoryBytes, &CopyPiece};

std::vector<Peak> Collect(std::string_view family) {
  std::vector<Peak> peaks{portable::kFmaPeak};
#if IRODORI_X86
  const CpuFeatures& cpu = DetectCpu();
#ifdef IRODORI_EMULATED_UNITS
  const bool wide = cpu.avx2, vnni = false, bf16 = false, tiles_int8 = false;
#else
  const bool wide = true, vnni = cpu.avx512_vnni, bf16 = cpu.avx512_bf16, tiles_int8 = cpu.amx_int8;
#endif
  const bool amx = wide && family == "amx";
  const bool avx512_bf16 = wide && family == "avx512_bf16";
  const bool avx512 = wide && (amx || avx512_bf16 || family == "avx512");
  if (avx512 || family == "avx2") {
    peaks.push_back(avx2::kFmaPeak);
    peaks.push_back(avx2::kInt8Peak);
  }
  if (avx512) peaks.push_back(avx512::kFmaPeak);
  if (avx512 && vnni) peaks.push_back(avx512::kVnniPeak);
  if (avx512_bf16 && bf16) peaks.push_back(avx512_bf16::kBf16Peak);
  if (amx) peaks.push_back(amx::kTilesBf16Peak);
  if (amx && tiles_int8) peaks.push_back(amx::kTilesInt8Peak);
#else
  (void)family;
#endif
  peaks.push_back(kReadPeak);
  peaks.push_back(kCopyPeak);
  return peaks;
}

// Values of about 0.01 as float32 and bf16: what pieces read.
constexpr int kFill = 0x3c;

struct Job {
  const Peak& peak;
  std::byte* memory;
  int64_t stride;
  Clock::time_point end;
  AbortFlag abort;
  std::atomic<int64_t> pieces{0};

  std::byte* Of(int64_t block) const { return memory + block * stride; }
};

}  // namespace

const std::vector<Peak>& PeaksOf(std::string_view family) {
  // Never destroyed, like DetectCpu's.
  static const auto& portable = *new std::vector<Peak>(Collect("portable"));
  static const auto& avx2 = *new std::vector<Peak>(Collect("avx2"));
  static const auto& avx512 = *new std::vector<Peak>(Collect("avx512"));
  static const auto& avx512_bf16 = *new std::vector<Peak>(Collect("avx512_bf16"));
  static const auto& amx = *new std::vector<Peak>(Collect("amx"));
  if (family == "amx") return amx;
  if (family == "avx512_bf16") return avx512_bf16;
  return family == "avx512" ? avx512 : family == "avx2" ? avx2 : portable;
}

std::vector<std::string> PeakNames(std::string_view family) {
  std::vector<std::string> names;
  for (const Peak& peak : PeaksOf(family)) names.emplace_back(peak.name);
  return names;
}

Result<double> MeasurePeak(std::string_view family, std::string_view name, ThreadTeam& team,
                           int threads, std::chrono::nanoseconds time, AbortFlag abort) {
  const std::vector<Peak>& peaks = PeaksOf(family);
  const auto found =
      std::find_if(peaks.begin(), peaks.end(), [&](const Peak& peak) { return name == peak.name; });
  if (found == peaks.end()) {
    std::string known;
    for (const Peak& peak : peaks) known += Message(known.empty() ? "" : ", ", peak.name);
    return Status(Code::kInvalidOption,
                  Message("peak: expected one of ", known, ", got ", Quoted(name)));
  }
  if (threads < 0 || threads > team.threads()) {
    return Status(Code::kInvalidOption,
                  Message("peak: expected at most ", team.threads(), " threads, got ", threads));
  }
  const int blocks = threads == 0 ? team.threads() : threads;
  const int64_t stride =
      (found->memory_bytes + kHostAlignment - 1) / kHostAlignment * kHostAlignment;
  const HostMemory memory(blocks * stride);
  if (memory.data() == nullptr) return NoHostMemory("peak", blocks * stride);
  Job job{*found, memory.data(), stride, {}, abort};
  // Pages come into being where the thread that uses them runs, and before the clock does.
  team.ParallelFor(
      blocks,
      [](void* context, int64_t block, int) {
        const Job& job = *static_cast<Job*>(context);
        std::memset(job.Of(block), kFill, static_cast<size_t>(job.stride));
        job.peak.run(job.Of(block), 0);
      },
      &job);
  const Clock::time_point start = Clock::now();
  job.end = start + time;
  // A thread that comes late does less, one that comes after the end nothing: both are the truth.
  team.ParallelFor(
      blocks,
      [](void* context, int64_t block, int) {
        Job& job = *static_cast<Job*>(context);
        int64_t pieces = 0;
        for (; Clock::now() < job.end && !IsSet(job.abort); ++pieces) {
          job.peak.run(job.Of(block), pieces);
        }
        job.pieces.fetch_add(pieces, std::memory_order_relaxed);
      },
      &job);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
  return static_cast<double>(job.pieces.load()) * static_cast<double>(found->work) / seconds;
}

}  // namespace irodori::cpu
