// The safetensors reader: right files read right, each field refused when wrong.
#include "native/core/safetensors.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "native/core/float_types.h"
#include "tests/native/check.h"
#include "tests/native/temporary_file.h"

namespace irodori::test {
namespace {

Result<SafetensorsIndex> Parse(std::string_view header, int64_t data_bytes) {
  const auto bytes = std::as_bytes(std::span(header.data(), header.size()));
  return ParseSafetensorsHeader(bytes, 8 + static_cast<int64_t>(header.size()) + data_bytes, "f");
}

#define REFUSES(part, data_bytes, header) \
  CHECK_STATUS(Parse(header, data_bytes).status(), Code::kInvalidSafetensors, part)

TEST(SafetensorsParses) {
  const std::string header =
      R"({"__metadata__":{"format":"pt","\u5f69\ud83c\udf38\n":""},"b":{"dtype":"I64","shape":[],"data_offsets":[8,16]},)"
      R"( "a.weight" : {"shape":[2,2],"data_offsets":[0,8],"dtype":"BF16"}, "空":{"dtype":"U8","shape":[3,0],"data_offsets":[16,16]}}   )";
  const Result<SafetensorsIndex> got = Parse(header, 16);
  CHECK_OK(got.status());
  const auto base = static_cast<int64_t>(8 + header.size());
  const auto& entries = got.value().entries;
  CHECK(entries.size() == 3);
  CHECK(entries[0].name == "a.weight" && entries[0].dtype == DType::kBF16 &&
        entries[0].shape == (Shape{2, 2}));
  CHECK(entries[0].begin == base && entries[0].end == base + 8);
  CHECK(entries[1].name == "b" && entries[1].shape.empty() && entries[1].begin == base + 8);
  CHECK(entries[2].name == "空" && entries[2].begin == entries[2].end);
  CHECK(got.value().metadata.size() == 2);
  CHECK(got.value().metadata[1].first == "彩🌸\n");
  CHECK_OK(Parse("{}", 0).status());
  CHECK_OK(Parse(R"({"__metadata__":{}})", 0).status());
}

TEST(SafetensorsRefusesForm) {
  REFUSES("{ as its first byte", 0, "");
  REFUSES("{ as its first byte", 0, " {}");
  REFUSES("{ as its first byte", 0, "[]");
  REFUSES("a name in quotes", 0, "{");
  REFUSES("the end", 0, "{} x");
  REFUSES("UTF-8", 0, "{\"\xff\":1}");
  REFUSES("a name in quotes", 0, "{,}");
  REFUSES(":", 0, R"({"a"})");
  REFUSES("{ of tensor \"a\"", 0, R"({"a":[[[[[[[[[[]]]]]]]]]]})");
  REFUSES("{ of tensor \"a\"", 0, R"({"a":null})");
  REFUSES(", or }", 0, R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})");
  REFUSES("a name in quotes", 0, R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},})");
  REFUSES("a name in quotes", 0, "{\"a\tb\":{}}");
  REFUSES("a name in quotes", 0, R"({"\ud800":{}})");
  REFUSES("a name in quotes", 0, R"({"\udc00":{}})");
  REFUSES("a name in quotes", 0, R"({"\ud800\u0041":{}})");
  REFUSES("a name in quotes", 0, R"({"\u12g4":{}})");
  REFUSES("a name in quotes", 0, R"({"\x":{}})");
  REFUSES("metadata value", 0, R"({"__metadata__":{"a":1}})");
  REFUSES("metadata key", 0, R"({"__metadata__":{"a":"1",}})");
  REFUSES("{ of __metadata__", 0, R"({"__metadata__":"a"})");
  REFUSES("twice", 0, R"({"__metadata__":{},"__metadata__":{}})");
  REFUSES("metadata key", 0, R"({"__metadata__":{"a":"","a":""}})");
}

TEST(SafetensorsRefusesFields) {
  REFUSES("control characters", 1, R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})");
  REFUSES("control characters", 1,
          R"({"a\u0000":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})");
  REFUSES("a type of the format", 1, R"({"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}})");
  REFUSES("dtype of tensor", 1, R"({"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})");
  REFUSES("dtype: expected it, got none", 1, R"({"a":{"shape":[1],"data_offsets":[0,1]}})");
  REFUSES("shape: expected it, got none", 1, R"({"a":{"dtype":"U8","data_offsets":[0,1]}})");
  REFUSES("data_offsets: expected it, got none", 1, R"({"a":{"dtype":"U8","shape":[1]}})");
  REFUSES("a field in quotes", 0, R"({"a":{}})");
  REFUSES("dtype: expected it once", 1,
          R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})");
  REFUSES("got \"extra\"", 1,
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"extra":{}}})");
  for (const std::string size : {"-1", "1.0", "1e0", "01", "9007199254740992",
                                 "99999999999999999999999", "\"1\"", "+1", "", "null", "[1]"}) {
    REFUSES("unsigned integer", 1,
            R"({"a":{"dtype":"U8","shape":[)" + size + R"(, 1],"data_offsets":[0,1]}})");
    REFUSES("unsigned integers", 1,
            R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,)" + size + "]}}");
  }
  REFUSES("at most 8 axes", 1,
          R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})");
  REFUSES("elements", 1,
          R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,1]}})");
  REFUSES("elements", 0,
          R"({"a":{"dtype":"F32","shape":[9007199254740991,0],"data_offsets":[0,0]}})");
  REFUSES("two unsigned integers", 1, R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})");
  REFUSES("two unsigned integers", 1, R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})");
}

TEST(SafetensorsListsTypesItDoesNotRead) {
  struct Type {
    std::string text;
    int64_t bits;
  };
  for (const auto& [text, bits] : std::vector<Type>{{"F64", 64},
                                                    {"C64", 64},
                                                    {"U64", 64},
                                                    {"U32", 32},
                                                    {"I16", 16},
                                                    {"U16", 16},
                                                    {"I8", 8},
                                                    {"F8_E4M3", 8},
                                                    {"F8_E5M2", 8},
                                                    {"F8_E8M0", 8},
                                                    {"F6_E2M3", 6},
                                                    {"F6_E3M2", 6},
                                                    {"F4", 4}}) {
    const auto header = [&](int64_t elements, int64_t bytes) {
      return Message(R"({"a":{"dtype":")", text, R"(","shape":[)", elements,
                     R"(],"data_offsets":[0,)", bytes, R"(]},"b":{"dtype":"U8","shape":[1],)",
                     R"("data_offsets":[)", bytes, ",", bytes + 1, "]}}");
    };
    const Result<SafetensorsIndex> got = Parse(header(12, 12 * bits / 8), 12 * bits / 8 + 1);
    CHECK_OK(got.status());
    if (!got.ok()) continue;
    const SafetensorsEntry& entry = got.value().entries[0];
    CHECK(entry.type == text && !entry.dtype && entry.element_bits == bits);
    CHECK(got.value().entries[1].dtype == DType::kU8);
    REFUSES(Message(12 * bits / 8, " bytes for ", text, " [12]"), 12 * bits / 8 + 2,
            header(12, 12 * bits / 8 + 1));
    if (bits % 8 != 0) REFUSES(Message("whole bytes of ", text), 6, header(7, 5));
  }
}

TEST(SafetensorsRefusesRanges) {
  REFUSES("begin no larger than end", 4,
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})");
  REFUSES("data bytes", 4, R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})");
  REFUSES("8 bytes for F32 [2]", 4, R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})");
  REFUSES("where the last tensor ends", 5,
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})");
  REFUSES("where the last tensor ends", 1, "{}");
  REFUSES("a hole", 8, R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})");
  const std::string a = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)";
  REFUSES("an overlap", 12, a + R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})");
  REFUSES("an overlap", 8, a + R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})");
  REFUSES("a hole", 16, a + R"("b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})");
  REFUSES("every name once", 16, a + R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})");
  const std::string header = "{}";
  CHECK_STATUS(ParseSafetensorsHeader(std::as_bytes(std::span(header)), 9).status(),
               Code::kInvalidSafetensors, "header length");
}

TEST(SafetensorsSurvivesEveryTruncationAndByteChange) {
  const std::string header =
      R"({"__metadata__":{"\u00e9":"x"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[1,1],"data_offsets":[8,10]}})";
  CHECK_OK(Parse(header, 10).status());
  for (size_t size = 0; size < header.size(); ++size)
    CHECK(!Parse(header.substr(0, size), 10).ok());
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string changed = header;
    changed[random() % changed.size()] = static_cast<char>(random());
    (void)Parse(changed, 10);
  }
}

std::string WithLength(uint64_t length, std::string_view header, std::string_view data) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file.append(header).append(data);
}

TEST(SafetensorsReadsFiles) {
  const std::string header =
      R"({"h":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[6,12]},)"
      R"("i":{"dtype":"I32","shape":[1],"data_offsets":[12,16]},"f":{"dtype":"F32","shape":[2,1],"data_offsets":[16,24]}})";
  const uint16_t half[] = {F16FromFloat(1.5f), F16FromFloat(-0.25f), 1};
  const uint16_t brain[] = {BF16FromFloat(3), BF16FromFloat(-1e30f), BF16FromFloat(0.1f)};
  const int32_t integer = 7;
  const float real[] = {0.1f, -2};
  std::string data(reinterpret_cast<const char*>(half), 6);
  data.append(reinterpret_cast<const char*>(brain), 6)
      .append(reinterpret_cast<const char*>(&integer), 4);
  data.append(reinterpret_cast<const char*>(real), 8);
  const TemporaryFile file(WithLength(header.size(), header, data));
  const Result<SafetensorsFile> got = SafetensorsFile::Open(file.path());
  CHECK_OK(got.status());
  const auto floats = [&](size_t entry, size_t count) {
    std::vector<float> out(count);
    CHECK_OK(got.value().ReadFloats(got.value().entries()[entry], out));
    return out;
  };
  CHECK_NEAR(floats(0, 3), (std::vector<double>{1.5, -0.25, 0x1p-24}), 0);
  CHECK_NEAR(floats(1, 3),
             (std::vector<double>{3, FloatFromBF16(brain[1]), FloatFromBF16(brain[2])}), 0);
  CHECK_NEAR(floats(3, 2), (std::vector<double>{0.1f, -2}), 0);
  int32_t read = 0;
  CHECK_OK(got.value().Read(got.value().entries()[2], std::as_writable_bytes(std::span(&read, 1))));
  CHECK(read == 7);
  std::vector<float> one(1);
  CHECK_STATUS(got.value().ReadFloats(got.value().entries()[2], one), Code::kUnsupportedFormat,
               "i32");
  SafetensorsEntry unread = got.value().entries()[3];
  unread.type = "F64";
  unread.dtype = {};
  std::vector<float> pair(2);
  CHECK_STATUS(got.value().ReadFloats(unread, pair), Code::kUnsupportedFormat, "got F64");
  CHECK_STATUS(got.value().ReadFloats(got.value().entries()[0], one), Code::kInternal,
               "room for 3");

  // Truncated after it was opened: an error, not a signal.
  std::filesystem::resize_file(file.path(), 8 + header.size() + 20);
  std::vector<float> two(2);
  CHECK_STATUS(got.value().ReadFloats(got.value().entries()[3], two), Code::kInvalidSafetensors,
               "shorter than when it was opened");
  CHECK_STATUS(SafetensorsFile::Open(file.path()).status(), Code::kInvalidSafetensors,
               "within the file's 20 data bytes");
}

TEST(SafetensorsReadsLargeTensors) {
  const size_t count = (1 << 20) + 3;  // several staging pieces, and pages dropped behind
  std::vector<uint16_t> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<uint16_t>(i % 0x7c00);
  const std::string header = Message(R"({"h":{"dtype":"F16","shape":[)", count,
                                     R"(],"data_offsets":[0,)", 2 * count, "]}}");
  const TemporaryFile file(
      WithLength(header.size(), header, {reinterpret_cast<const char*>(values.data()), 2 * count}));
  const Result<SafetensorsFile> got = SafetensorsFile::Open(file.path());
  CHECK_OK(got.status());
  std::vector<float> read(count);
  CHECK_OK(got.value().ReadFloats(got.value().entries()[0], read));
  size_t wrong = 0;
  for (size_t i = 0; i < count; ++i) wrong += read[i] != FloatFromF16(values[i]);
  CHECK(wrong == 0);
}

TEST(SafetensorsRefusesFiles) {
  const auto open = [](const std::string& bytes) {
    return SafetensorsFile::Open(TemporaryFile(bytes).path()).status();
  };
  CHECK_STATUS(open(""), Code::kInvalidSafetensors, "a file of 0 bytes");
  CHECK_STATUS(open("1234567"), Code::kInvalidSafetensors, "a file of 7 bytes");
  CHECK_STATUS(open(WithLength(3, "{}", "")), Code::kInvalidSafetensors,
               "header length: expected at most 2, got 3");
  CHECK_STATUS(open(WithLength(UINT64_MAX, "{}", "")), Code::kInvalidSafetensors,
               "got 18446744073709551615");
  CHECK_STATUS(open(WithLength(0, "", "")), Code::kInvalidSafetensors, "first byte");
  CHECK_STATUS(SafetensorsFile::Open("/nonexistent/file").status(), Code::kMissingFile,
               "/nonexistent/file");
  CHECK_STATUS(SafetensorsFile::Open("/tmp").status(), Code::kIo, "regular file");
}

}  // namespace
}  // namespace irodori::test
