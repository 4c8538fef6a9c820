// safetensors: u64 header length, a JSON header, and the tensors' bytes behind one another without
// holes.
//
// Every field is checked before anyone sees an index: messages name file, tensor, field, what was
// expected and got.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "native/core/program.h"
#include "native/core/source_file.h"
#include "native/core/status.h"

namespace irodori {

struct SafetensorsEntry {
  std::string name;
  std::string_view type;       // the format's word: "BF16", "F8_E4M3"
  int64_t element_bits;        // of that type
  std::optional<DType> dtype;  // none: of the format, but nothing here reads it
  Shape shape;                 // sizes may be 0 here
  int64_t begin;               // into the file, not into its data section
  int64_t end;
};

struct SafetensorsIndex {
  std::vector<SafetensorsEntry> entries;                      // in the order of their bytes
  std::vector<std::pair<std::string, std::string>> metadata;  // in the order of the header
};

// The format allows headers of up to 100 MB.
inline constexpr int64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// Checks the JSON header (without the eight bytes of its length) of a file of `file_size` bytes.
// Pure: reads nothing. `file` is only for messages. kInvalidSafetensors. Element types of the
// format that irodori does not read are listed like others; a file may hold tensors that nobody
// asks for.
Result<SafetensorsIndex> ParseSafetensorsHeader(std::span<const std::byte> header,
                                                int64_t file_size, std::string_view file = "header",
                                                AbortFlag abort = nullptr);

// A safetensors file: its checked index, and reading.
class SafetensorsFile {
 public:
  // `abort` is looked at between the header's entries.
  static Result<SafetensorsFile> Open(const std::string& path, AbortFlag abort = nullptr);

  const std::vector<SafetensorsEntry>& entries() const { return index_.entries; }
  const std::vector<std::pair<std::string, std::string>>& metadata() const {
    return index_.metadata;
  }
  const std::shared_ptr<const SourceFile>& source() const { return source_; }
  // The tensor's bytes as they are; `out` has end - begin bytes.
  Status Read(const SafetensorsEntry& entry, std::span<std::byte> out) const;
  // The tensor's values in float32; f32, f16 and bf16 entries only, others are kUnsupportedFormat.
  Status ReadFloats(const SafetensorsEntry& entry, std::span<float> out) const;

 private:
  SafetensorsFile(std::shared_ptr<const SourceFile> source, SafetensorsIndex index)
      : source_(std::move(source)), index_(std::move(index)) {}

  std::shared_ptr<const SourceFile> source_;
  SafetensorsIndex index_;
};

}  // namespace irodori
