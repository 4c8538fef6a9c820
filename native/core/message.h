// The text of error messages: pieces joined, shapes as `[4, 64, 64]`, names made printable.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

namespace irodori {

inline void AppendPiece(std::string& text, std::string_view piece) { text += piece; }
inline void AppendPiece(std::string& text, std::integral auto number) {
  text += std::to_string(number);
}
inline void AppendPiece(std::string& text, double number) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%g", number);
  text += digits;
}
inline void AppendPiece(std::string& text, std::span<const int64_t> shape) {
  text += '[';
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(shape[axis]);
  }
  text += ']';
}

template <typename... Pieces>
std::string Message(const Pieces&... pieces) {
  std::string text;
  (AppendPiece(text, pieces), ...);
  return text;
}

// A name from outside, in quotes, cut at 120 bytes; anything but printable ASCII becomes \xNN, so
// that a message is always one line of valid UTF-8.
inline std::string Quoted(std::string_view name) {
  constexpr size_t kLongest = 120;
  std::string text = "\"";
  for (const char character : name.substr(0, kLongest)) {
    if (character >= 0x20 && character < 0x7f) {
      text += character;
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(character));
      text += escaped;
    }
  }
  return text + (name.size() > kLongest ? "...\"" : "\"");
}

}  // namespace irodori
