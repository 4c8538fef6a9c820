// The words of the error codes.
#include "native/core/status.h"

namespace irodori {

std::string_view CodeText(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kAborted:
      return "aborted";
#define X(name, text) \
  case Code::name:    \
    return text;
#include "native/core/error_codes.def"
#undef X
  }
  return "internal";
}

}  // namespace irodori
