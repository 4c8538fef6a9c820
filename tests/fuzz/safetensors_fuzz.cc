// Fuzz target of the safetensors header: whatever is accepted must be a file without overlaps,
// holes or rests. Input: u32 number of data bytes behind the header, then the header.
#include <cstdlib>
#include <cstring>
#include <set>

#include "native/core/bytes.h"
#include "native/core/safetensors.h"
#include "native/core/shape.h"
#include "tests/fuzz/require.h"

using irodori::Result;
using irodori::SafetensorsEntry;
using irodori::SafetensorsIndex;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint32_t data_bytes;
  if (size < sizeof data_bytes) return 0;
  std::memcpy(&data_bytes, data, sizeof data_bytes);
  const auto header = std::as_bytes(std::span(data, size)).subspan(sizeof data_bytes);
  const int64_t data_begin = 8 + static_cast<int64_t>(header.size());
  const int64_t file_size = data_begin + data_bytes;
  const Result<SafetensorsIndex> result =
      irodori::ParseSafetensorsHeader(header, file_size, "fuzz");
  if (!result.ok()) {
    const irodori::Status status = result.status();
    REQUIRE(status.code() == irodori::Code::kInvalidSafetensors);
    REQUIRE(!status.message().empty() && irodori::IsUtf8(status.message()));
    return 0;
  }
  int64_t end = data_begin;
  std::set<std::string_view> names;
  for (const SafetensorsEntry& entry : result.value().entries) {
    REQUIRE(entry.begin == end && entry.end >= entry.begin && entry.end <= file_size);
    const std::optional<int64_t> elements = irodori::CheckedElements(entry.shape);
    REQUIRE(elements && *elements * entry.element_bits == 8 * (entry.end - entry.begin));
    REQUIRE(!entry.name.empty() && irodori::IsUtf8(entry.name) && names.insert(entry.name).second);
    end = entry.end;
  }
  REQUIRE(end == file_size);
  for (const auto& [key, value] : result.value().metadata)
    REQUIRE(irodori::IsUtf8(key) && irodori::IsUtf8(value));
  return 0;
}
