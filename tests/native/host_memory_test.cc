// Host memory: aligned, zeroed without being touched, given back, refused where it is more than
// there is.
#include "native/core/host_memory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <vector>

#include "native/core/usable_memory.h"
#include "tests/native/check.h"

namespace irodori::test {
namespace {

#ifdef __linux__
int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(HostBufferTouchesNothing) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  const int64_t before = ResidentBytes();
  const Result<std::shared_ptr<Buffer>> buffer = HostBuffer::Allocate(kBytes);
  CHECK_OK(buffer.status());
  CHECK(ResidentBytes() - before < kBytes / 16);
}
#endif

TEST(HostBufferIsZeroAndAligned) {
  for (const int64_t size : {0, 1, 63, 64, 65, (1 << 18) - 1, 1 << 18, (1 << 18) + 1, 3 << 20}) {
    // Twice: the second may get the memory of the first.
    for (int round = 0; round < 2; ++round) {
      const Result<std::shared_ptr<Buffer>> made = HostBuffer::Allocate(size);
      CHECK_OK(made.status());
      CHECK(made.value()->size_bytes() == size);
      std::byte* data = static_cast<const HostBuffer&>(*made.value()).data();
      CHECK(reinterpret_cast<uintptr_t>(data) % kHostAlignment == 0);
      int64_t other = 0;
      for (int64_t i = 0; i < size; ++i) other += data[i] != std::byte{0};
      CHECK(other == 0);
      for (int64_t i = 0; i < size; ++i) data[i] = std::byte{0xff};
    }
  }
}

TEST(LargePagesGiveBlocksOfTheirOwn) {
  std::vector<HostMemory> blocks;
  const std::array<int64_t, 6> sizes = {1, 100, 5000, 3 << 20, 15 << 20, 17 << 20};
  for (int round = 0; round < 3; ++round) {
    for (const int64_t size : sizes) {
      blocks.push_back(HostMemory::InLargePages(size));
      CHECK(blocks.back().data() != nullptr && blocks.back().size_bytes() == size);
      CHECK(reinterpret_cast<uintptr_t>(blocks.back().data()) % kHostAlignment == 0);
      std::memset(blocks.back().data(), static_cast<int>(blocks.size()), static_cast<size_t>(size));
    }
  }
  for (size_t i = 0; i < blocks.size(); i += 2) blocks[i] = HostMemory();
  for (size_t i = 1; i < blocks.size(); i += 2) {
    const HostMemory& block = blocks[i];
    const auto written = static_cast<std::byte>(i + 1);
    CHECK(std::count(block.data(), block.data() + block.size_bytes(), written) ==
          block.size_bytes());
  }
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
TEST(LargePagesGiveMemoryBack) {
  constexpr int64_t kBytes = int64_t{12} << 20;
  const HostMemory kept = HostMemory::InLargePages(kBytes);
  std::memset(kept.data(), 1, kBytes);
  const int64_t before = ResidentBytes();
  for (int round = 0; round < 40; ++round) {
    const HostMemory block = HostMemory::InLargePages(kBytes);
    std::memset(block.data(), 1, kBytes);
  }
  CHECK(ResidentBytes() - before < 2 * kBytes);
}
#endif

TEST(HostMemoryMoves) {
  HostMemory a = HostMemory::Zeros(1 << 20);
  HostMemory b = std::move(a);
  CHECK(a.data() == nullptr && a.size_bytes() == 0);
  CHECK(b.data() != nullptr && b.size_bytes() == 1 << 20);
  b = HostMemory(100);
  CHECK(b.size_bytes() == 100);
  b = HostMemory::Zeros(2 << 20);
  CHECK(b.size_bytes() == 2 << 20);
}

TEST(HostMemoryRefusesMoreThanThereIs) {
  const int64_t most = UsableMemoryBytes();
  for (const int64_t size : {most + 1, int64_t{1} << 50, INT64_MAX}) {
    CHECK(HostMemory(size).data() == nullptr);
    CHECK_STATUS(HostBuffer::Allocate(size).status(), Code::kOutOfMemory,
                 Message(most, " bytes this process may use, got ", size));
  }
  CHECK(HostMemory(-1).data() == nullptr);
  CHECK(OpenReferenceDevice().value()->info().memory_bytes == most);
  CHECK(OpenCpuDevice({"portable", 1}).value()->info().memory_bytes == most);
}

}  // namespace
}  // namespace irodori::test
