// Checks safetensors headers and reads tensors.
// Format: https://github.com/huggingface/safetensors#format
#include "native/core/safetensors.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <tuple>

#include "native/core/bytes.h"
#include "native/core/header_json.h"
#include "native/core/message.h"
#include "native/core/shape.h"
#include "native/core/verify.h"

namespace irodori {
namespace {

constexpr int64_t kLengthBytes = 8;
// Bounds on what a header can make us hold; real ones stay far below.
constexpr size_t kMaxTensors = 1'000'000;
constexpr size_t kMaxNameBytes = 4096;

struct KnownType {
  std::string_view text;
  int64_t bits;
  std::optional<DType> dtype;  // none: of the format, but not read here
};
constexpr KnownType kTypes[] = {
    {"F32", 32, DType::kF32},
    {"F16", 16, DType::kF16},
    {"BF16", 16, DType::kBF16},
    {"I32", 32, DType::kI32},
    {"I64", 64, DType::kI64},
    {"U8", 8, DType::kU8},
    {"BOOL", 8, DType::kU8},  // 0 or 1
    {"I8", 8, {}},
    {"I16", 16, {}},
    {"U16", 16, {}},
    {"U32", 32, {}},
    {"U64", 64, {}},
    {"F64", 64, {}},
    {"C64", 64, {}},
    {"F4", 4, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"F8_E4M3", 8, {}},
    {"F8_E5M2", 8, {}},
    {"F8_E8M0", 8, {}},
};

class HeaderParser {
 public:
  HeaderParser(std::string_view text, int64_t file_size, std::string_view file, AbortFlag abort)
      : json_(text),
        file_(file),
        abort_(abort),
        data_begin_(kLengthBytes + static_cast<int64_t>(text.size())),
        file_size_(file_size) {}

  Result<SafetensorsIndex> Parse() {
    if (!json_.Take('{')) return Malformed("{");
    if (!json_.Take('}')) {
      do {
        IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
        IRODORI_RETURN_IF_ERROR(Member());
      } while (json_.Take(','));
      if (!json_.Take('}')) return Malformed(", or }");
    }
    if (!json_.AtEnd()) return Malformed("the end");
    IRODORI_RETURN_IF_ERROR(CheckNames());
    IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
    IRODORI_RETURN_IF_ERROR(CheckRanges());
    return std::move(index_);
  }

 private:
  Status Malformed(std::string_view expected) {
    return {Code::kInvalidSafetensors,
            Message("safetensors(", file_, "): header at byte ", json_.position(), ": expected ",
                    expected, ", got ", json_.Next())};
  }
  Status Fail(std::string_view tensor, std::string_view field, std::string_view expected,
              std::string_view got) const {
    return {Code::kInvalidSafetensors,
            Message("safetensors(", file_, "): tensor ", Quoted(tensor), ": ", field, ": expected ",
                    expected, ", got ", got)};
  }

  Status Member() {
    std::string name;
    if (!json_.TakeString(name)) return Malformed("a name in quotes");
    if (!json_.Take(':')) return Malformed(":");
    return name == "__metadata__" ? Metadata() : Tensor(std::move(name));
  }

  Status Metadata() {
    if (std::exchange(has_metadata_, true))
      return Fail("__metadata__", "name", "every name once", "it twice");
    if (!json_.Take('{')) return Malformed("{ of __metadata__");
    if (json_.Take('}')) return Status::Ok();
    do {
      IRODORI_RETURN_IF_ERROR(CheckAbort(abort_));
      if (index_.metadata.size() == kMaxTensors)
        return Fail("__metadata__", "keys", Message("at most ", kMaxTensors), "more");
      auto& [key, value] = index_.metadata.emplace_back();
      if (!json_.TakeString(key)) return Malformed("a metadata key in quotes");
      if (!json_.Take(':')) return Malformed(":");
      if (!json_.TakeString(value)) return Malformed("a metadata value in quotes");
    } while (json_.Take(','));
    return json_.Take('}') ? Status::Ok() : Malformed(", or }");
  }

  Status Tensor(std::string name) {
    if (index_.entries.size() == kMaxTensors)
      return Fail(name, "name", Message("at most ", kMaxTensors, " tensors"), "more");
    const auto control = [](unsigned char character) {
      return character < 0x20 || character == 0x7f;
    };
    if (name.empty() || name.size() > kMaxNameBytes || std::ranges::any_of(name, control)) {
      return Fail(name, "name",
                  Message("1 to ", kMaxNameBytes, " bytes without control characters"),
                  Message(name.size(), " bytes"));
    }
    SafetensorsEntry& entry = index_.entries.emplace_back();
    entry.name = std::move(name);
    if (!json_.Take('{')) return Malformed(Message("{ of tensor ", Quoted(entry.name)));
    bool seen[3] = {};
    constexpr std::string_view kFields[] = {"dtype", "shape", "data_offsets"};
    do {
      std::string field;
      if (!json_.TakeString(field)) return Malformed("a field in quotes");
      if (!json_.Take(':')) return Malformed(":");
      const auto known =
          static_cast<size_t>(std::ranges::find(kFields, field) - std::begin(kFields));
      if (known == std::size(kFields))
        return Fail(entry.name, "field", "dtype, shape or data_offsets", Quoted(field));
      if (std::exchange(seen[known], true)) return Fail(entry.name, field, "it once", "it twice");
      IRODORI_RETURN_IF_ERROR(known == 0   ? DTypeField(entry)
                              : known == 1 ? ShapeField(entry)
                                           : OffsetsField(entry));
    } while (json_.Take(','));
    if (!json_.Take('}')) return Malformed(", or }");
    for (size_t i = 0; i < std::size(kFields); ++i) {
      if (!seen[i]) return Fail(entry.name, kFields[i], "it", "none");
    }
    return CheckEntry(entry);
  }

  Status DTypeField(SafetensorsEntry& entry) {
    std::string text;
    if (!json_.TakeString(text))
      return Malformed(Message("dtype of tensor ", Quoted(entry.name), " in quotes"));
    const auto known = std::ranges::find(kTypes, text, &KnownType::text);
    if (known == std::end(kTypes))
      return Fail(entry.name, "dtype", "a type of the format", Quoted(text));
    entry.type = known->text;
    entry.element_bits = known->bits;
    entry.dtype = known->dtype;
    return Status::Ok();
  }

  Status ShapeField(SafetensorsEntry& entry) {
    if (!json_.Take('['))
      return Malformed(Message("[ of the shape of tensor ", Quoted(entry.name)));
    if (json_.Take(']')) return Status::Ok();
    do {
      if (entry.shape.size() == kMaxRank)
        return Fail(entry.name, "shape", Message("at most ", kMaxRank, " axes"), "more");
      if (!json_.TakeInteger(entry.shape.emplace_back())) {
        return Malformed(
            Message("a size in the shape of tensor ", Quoted(entry.name), ", an unsigned integer"));
      }
    } while (json_.Take(','));
    return json_.Take(']') ? Status::Ok() : Malformed(", or ]");
  }

  Status OffsetsField(SafetensorsEntry& entry) {
    const std::string expected =
        Message("data_offsets of tensor ", Quoted(entry.name), ", two unsigned integers");
    const bool pair = json_.Take('[') && json_.TakeInteger(entry.begin) && json_.Take(',') &&
                      json_.TakeInteger(entry.end) && json_.Take(']');
    return pair ? Status::Ok() : Malformed(expected);
  }

  // Offsets count from the end of the header; from here on they count from the start of the file.
  Status CheckEntry(SafetensorsEntry& entry) const {
    const int64_t data_bytes = file_size_ - data_begin_;
    const std::optional<int64_t> elements = CheckedElements(entry.shape);
    if (!elements) {
      return Fail(entry.name, "shape", Message("fewer than ", kMaxElements, " elements"),
                  Message(std::span<const int64_t>(entry.shape)));
    }
    const std::string range = Message("[", entry.begin, ", ", entry.end, "]");
    if (entry.begin > entry.end)
      return Fail(entry.name, "data_offsets", "begin no larger than end", range);
    if (entry.end > data_bytes) {
      return Fail(entry.name, "data_offsets",
                  Message("a range within the file's ", data_bytes, " data bytes"), range);
    }
    const int64_t bits = *elements * entry.element_bits;
    if (bits % 8 != 0) {
      return Fail(entry.name, "shape", Message("whole bytes of ", entry.type),
                  Message(std::span<const int64_t>(entry.shape)));
    }
    if (entry.end - entry.begin != bits / 8) {
      return Fail(
          entry.name, "data_offsets",
          Message(bits / 8, " bytes for ", entry.type, " ", std::span<const int64_t>(entry.shape)),
          Message(entry.end - entry.begin, " bytes"));
    }
    entry.begin += data_begin_;
    entry.end += data_begin_;
    return Status::Ok();
  }

  Status CheckNames() const {
    std::vector<std::string_view> names;
    for (const SafetensorsEntry& entry : index_.entries) names.push_back(entry.name);
    IRODORI_RETURN_IF_ERROR(CheckOnce(names, "name"));
    names.clear();
    for (const auto& [key, value] : index_.metadata) names.push_back(key);
    return CheckOnce(names, "metadata key");
  }

  Status CheckOnce(std::vector<std::string_view>& names, std::string_view field) const {
    std::ranges::sort(names);
    const auto twice = std::ranges::adjacent_find(names);
    if (twice == names.end()) return Status::Ok();
    return Fail(*twice, field, "every name once", "it twice");
  }

  // Tensors follow one another from the end of the header to the end of the file: no overlap, no
  // hole, nothing behind.
  Status CheckRanges() {
    std::ranges::sort(index_.entries, [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    int64_t end = data_begin_;
    for (const SafetensorsEntry& entry : index_.entries) {
      if (entry.begin != end) {
        return Fail(
            entry.name, "data_offsets",
            Message("begin at ", end - data_begin_, ", where the tensor before it ends"),
            Message(entry.begin - data_begin_, entry.begin < end ? ", an overlap" : ", a hole"));
      }
      end = entry.end;
    }
    if (end == file_size_) return Status::Ok();
    return {Code::kInvalidSafetensors,
            Message("safetensors(", file_, "): size: expected ", end,
                    " bytes, where the last tensor ends, got ", file_size_)};
  }

  HeaderJson json_;
  std::string_view file_;
  AbortFlag abort_;
  int64_t data_begin_;
  int64_t file_size_;
  bool has_metadata_ = false;
  SafetensorsIndex index_;
};

Status LengthError(std::string_view file, std::string_view expected, std::string_view got) {
  return {Code::kInvalidSafetensors,
          Message("safetensors(", file, "): header length: expected ", expected, ", got ", got)};
}

}  // namespace

Result<SafetensorsIndex> ParseSafetensorsHeader(std::span<const std::byte> header,
                                                int64_t file_size, std::string_view file,
                                                AbortFlag abort) {
  const auto size = static_cast<int64_t>(header.size());
  if (size > kMaxSafetensorsHeaderBytes || size > file_size - kLengthBytes) {
    return LengthError(file,
                       Message("at most ", kMaxSafetensorsHeaderBytes, " and a file that holds it"),
                       Message(size, " in a file of ", file_size, " bytes"));
  }
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  if (!text.starts_with('{')) {
    return Status(Code::kInvalidSafetensors,
                  Message("safetensors(", file, "): header: expected { as its first byte, got ",
                          Quoted(text.substr(0, 1))));
  }
  if (!IsUtf8(text)) {
    return Status(Code::kInvalidSafetensors,
                  Message("safetensors(", file, "): header: expected UTF-8, got other bytes"));
  }
  try {
    return HeaderParser(text, file_size, file, abort).Parse();
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory,
                  Message("safetensors(", file, "): expected memory for its header, got none"));
  }
}

Result<SafetensorsFile> SafetensorsFile::Open(const std::string& path, AbortFlag abort) try {
  Result<std::shared_ptr<const SourceFile>> source = SourceFile::Open(path);
  IRODORI_RETURN_IF_ERROR(source.status());
  const SourceFile& file = *source.value();
  uint64_t length = 0;
  if (file.size_bytes() < kLengthBytes) {
    return LengthError(path, "8 bytes", Message("a file of ", file.size_bytes(), " bytes"));
  }
  IRODORI_RETURN_IF_ERROR(file.Read(0, std::as_writable_bytes(std::span(&length, 1))));
  const auto room = static_cast<uint64_t>(file.size_bytes() - kLengthBytes);
  if (length > static_cast<uint64_t>(kMaxSafetensorsHeaderBytes) || length > room) {
    return LengthError(
        path,
        Message("at most ", std::min(static_cast<uint64_t>(kMaxSafetensorsHeaderBytes), room)),
        Message(length));
  }
  std::vector<std::byte> header(length);
  IRODORI_RETURN_IF_ERROR(file.Read(kLengthBytes, header));
  IRODORI_RETURN_IF_ERROR(CheckAbort(abort));
  Result<SafetensorsIndex> index = ParseSafetensorsHeader(header, file.size_bytes(), path, abort);
  IRODORI_RETURN_IF_ERROR(index.status());
  return SafetensorsFile(std::move(source).value(), std::move(index).value());
} catch (const std::bad_alloc&) {
  return Status(Code::kOutOfMemory,
                Message("safetensors(", path, "): expected memory for its header, got none"));
}

Status SafetensorsFile::Read(const SafetensorsEntry& entry, std::span<std::byte> out) const {
  if (static_cast<int64_t>(out.size()) != entry.end - entry.begin) {
    return {Code::kInternal,
            Message("safetensors(", source_->path(), "): tensor ", Quoted(entry.name),
                    ": expected room for ", entry.end - entry.begin, " bytes, got ", out.size())};
  }
  return source_->Read(entry.begin, out);
}

Status SafetensorsFile::ReadFloats(const SafetensorsEntry& entry, std::span<float> out) const {
  if (static_cast<int64_t>(out.size()) != Elements(entry.shape)) {
    return {Code::kInternal,
            Message("safetensors(", source_->path(), "): tensor ", Quoted(entry.name),
                    ": expected room for ", Elements(entry.shape), " values, got ", out.size())};
  }
  if (!entry.dtype) {
    return {Code::kUnsupportedFormat,
            Message("safetensors(", source_->path(), "): tensor ", Quoted(entry.name),
                    ": expected F32, F16 or BF16, got ", entry.type)};
  }
  return source_->ReadFloats(entry.begin, *entry.dtype, out);
}

}  // namespace irodori
