// A strict scanner for the JSON of safetensors headers: objects of objects, strings, and lists of
// unsigned integers. Whoever calls it says what must come next, so that depth is bounded by the
// format and not by the input.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "native/core/message.h"

namespace irodori {

class HeaderJson {
 public:
  explicit HeaderJson(std::string_view text) : text_(text) {}

  size_t position() const { return position_; }

  // Skips white space and takes `wanted` if it comes next.
  bool Take(char wanted) {
    SkipSpace();
    if (position_ == text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }

  bool AtEnd() {
    SkipSpace();
    return position_ == text_.size();
  }

  // A string with its escapes resolved. The text as a whole is known to be UTF-8; lone surrogates
  // are refused.
  bool TakeString(std::string& out) {
    out.clear();
    if (!Take('"')) return false;
    while (position_ < text_.size()) {
      const char character = text_[position_++];
      if (character == '"') return true;
      if (static_cast<unsigned char>(character) < 0x20) return Back();
      if (character != '\\') {
        out += character;
      } else if (!Escape(out)) {
        return false;
      }
    }
    return false;
  }

  // An unsigned integer as JSON writes it, at most 2^53 - 1: what doubles on the other side of the
  // bindings hold exactly.
  bool TakeInteger(int64_t& out) {
    constexpr int64_t kMost = (int64_t{1} << 53) - 1;
    SkipSpace();
    const size_t start = position_;
    int64_t value = 0;
    while (position_ < text_.size() && IsDigit(text_[position_])) {
      value = value * 10 + (text_[position_++] - '0');
      if (value > kMost) return false;
    }
    const size_t digits = position_ - start;
    const bool leading_zero = digits > 1 && text_[start] == '0';
    const bool goes_on =
        position_ < text_.size() &&
        (text_[position_] == '.' || text_[position_] == 'e' || text_[position_] == 'E');
    out = value;
    return digits > 0 && !leading_zero && !goes_on;
  }

  // What stands next, for messages.
  std::string Next() {
    SkipSpace();
    return position_ == text_.size() ? "the end" : Quoted(text_.substr(position_, 16));
  }

 private:
  static bool IsDigit(char character) { return character >= '0' && character <= '9'; }

  void SkipSpace() {
    while (position_ < text_.size() &&
           std::string_view(" \t\n\r").find(text_[position_]) != std::string_view::npos)
      ++position_;
  }

  bool Back() {
    --position_;
    return false;
  }

  bool Hex4(uint32_t& out) {
    if (text_.size() - position_ < 4) return false;
    out = 0;
    for (int i = 0; i < 4; ++i) {
      const char digit = text_[position_++];
      const char lower = static_cast<char>(digit | 0x20);
      if (IsDigit(digit)) {
        out = out * 16 + static_cast<uint32_t>(digit - '0');
      } else if (lower >= 'a' && lower <= 'f') {
        out = out * 16 + static_cast<uint32_t>(lower - 'a' + 10);
      } else {
        return Back();
      }
    }
    return true;
  }

  bool Escape(std::string& out) {
    if (position_ == text_.size()) return false;
    const char kind = text_[position_++];
    constexpr std::string_view kKinds = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    const size_t known = kKinds.find(kind);
    if (known != std::string_view::npos) {
      out += kMeant[known];
      return true;
    }
    if (kind != 'u') return Back();
    uint32_t point;
    if (!Hex4(point)) return false;
    if (point >= 0xdc00 && point <= 0xdfff) return false;
    if (point >= 0xd800 && point <= 0xdbff) {
      uint32_t low;
      if (text_.substr(position_, 2) != "\\u") return false;
      position_ += 2;
      if (!Hex4(low) || low < 0xdc00 || low > 0xdfff) return false;
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    AppendUtf8(out, point);
    return true;
  }

  static void AppendUtf8(std::string& out, uint32_t point) {
    if (point < 0x80) {
      out += static_cast<char>(point);
      return;
    }
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    constexpr uint32_t kLead[] = {0, 0xc0, 0xe0, 0xf0};
    out += static_cast<char>(kLead[more] | point >> (6 * more));
    for (int i = more - 1; i >= 0; --i)
      out += static_cast<char>(0x80 | ((point >> (6 * i)) & 0x3f));
  }

  std::string_view text_;
  size_t position_ = 0;
};

}  // namespace irodori
