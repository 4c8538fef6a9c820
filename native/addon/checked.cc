// Checked calls into N-API.
#include "native/addon/checked.h"

#include <cmath>

#include "native/core/message.h"
#include "native/core/shape.h"

namespace irodori::addon {

Status StatusOf(const std::exception& error) noexcept {
  // Texts that fit into a std::string itself.
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return Status(Code::kOutOfMemory, "out of memory");
  }
  try {
    return Status(Code::kInternal, std::string("a native call failed: ") + error.what());
  } catch (const std::bad_alloc&) {
    return Status(Code::kOutOfMemory, "out of memory");
  }
}

Status FailedCall(std::string_view expression, napi_status status) {
  std::string_view name = expression.substr(0, expression.find('('));
  return Status(Code::kInternal,
                std::string(name) + ": expected napi_ok, got status " + std::to_string(status));
}

Result<napi_value> MakeError(napi_env env, const Status& status) {
  napi_value error;
  IRODORI_NAPI(napi_create_object(env, &error));
  std::string_view code = status.code() == Code::kAborted ? "aborted" : CodeText(status.code());
  IRODORI_RETURN_IF_ERROR(SetProperty(env, error, "code", MakeString(env, code)));
  IRODORI_RETURN_IF_ERROR(SetProperty(env, error, "message", MakeString(env, status.message())));
  return error;
}

void Throw(napi_env env, const Status& status) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) != napi_ok || pending) return;
  Result<napi_value> error = Guarded([&] { return MakeError(env, status); });
  // A failure here means that the environment is ending: nobody is left to be told.
  if (error.ok()) (void)napi_throw(env, error.value());
}

std::string TypeName(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  bool is_array = false;
  bool is_typed_array = false;
  if (napi_typeof(env, value, &type) != napi_ok) return "an unreadable value";
  if (type == napi_object) {
    if (napi_is_array(env, value, &is_array) == napi_ok && is_array) return "array";
    if (napi_is_typedarray(env, value, &is_typed_array) == napi_ok && is_typed_array) {
      return "typed array";
    }
  }
  switch (type) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return "boolean";
    case napi_number:
      return "number";
    case napi_string:
      return "string";
    case napi_symbol:
      return "symbol";
    case napi_object:
      return "object";
    case napi_function:
      return "function";
    case napi_external:
      return "external";
    case napi_bigint:
      return "bigint";
  }
  return "an unknown type";
}

namespace {

Status Expected(napi_env env, napi_value value, std::string_view place, std::string_view what) {
  return Status(Code::kInvalidArgument, std::string(place) + ": expected " + std::string(what) +
                                            ", got " + TypeName(env, value));
}

}  // namespace

Result<std::string> ReadString(napi_env env, napi_value value, std::string_view place) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) {
    return Expected(env, value, place, "a string");
  }
  std::string text(length, '\0');
  // The call writes a final zero: std::string has room for it at text[length].
  IRODORI_NAPI(napi_get_value_string_utf8(env, value, text.data(), length + 1, &length));
  return text;
}

Result<int64_t> ReadInteger(napi_env env, napi_value value, int64_t least, int64_t most,
                            std::string_view place) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) {
    return Expected(env, value, place, "an integer");
  }
  if (!(number >= static_cast<double>(least) && number <= static_cast<double>(most)) ||
      number != std::floor(number)) {
    return Status(Code::kInvalidArgument,
                  std::string(place) + ": expected an integer from " + std::to_string(least) +
                      " to " + std::to_string(most) + ", got " + std::to_string(number));
  }
  return static_cast<int64_t>(number);
}

Result<std::vector<napi_value>> ReadArray(napi_env env, napi_value value, std::string_view place) {
  bool is_array = false;
  IRODORI_NAPI(napi_is_array(env, value, &is_array));
  if (!is_array) return Expected(env, value, place, "an array");
  uint32_t length = 0;
  IRODORI_NAPI(napi_get_array_length(env, value, &length));
  std::vector<napi_value> values(length);
  for (uint32_t i = 0; i < length; ++i) {
    IRODORI_NAPI(napi_get_element(env, value, i, &values[i]));
  }
  return values;
}

Result<std::vector<int64_t>> ReadShape(napi_env env, napi_value value, std::string_view place) {
  constexpr int64_t kLargestInteger = (int64_t{1} << 53) - 1;
  IRODORI_ASSIGN(std::vector<napi_value> values, ReadArray(env, value, place));
  if (values.size() > kMaxRank) {
    return Status(Code::kInvalidArgument,
                  Message(place, ": expected at most ", kMaxRank, " axes, got ", values.size()));
  }
  std::vector<int64_t> shape;
  shape.reserve(values.size());
  for (napi_value size : values) {
    IRODORI_ASSIGN(int64_t extent, ReadInteger(env, size, 0, kLargestInteger, place));
    shape.push_back(extent);
  }
  if (!CheckedElements(shape)) {
    return Status(Code::kInvalidArgument,
                  Message(place, ": expected fewer than ", kMaxElements, " elements, got ",
                          std::span<const int64_t>(shape)));
  }
  return shape;
}

Result<std::span<const std::byte>> ReadBytes(napi_env env, napi_value value,
                                             std::string_view place) {
  bool is_typed_array = false;
  IRODORI_NAPI(napi_is_typedarray(env, value, &is_typed_array));
  if (!is_typed_array) return Expected(env, value, place, "a Uint8Array");
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  IRODORI_NAPI(napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr));
  if (type != napi_uint8_array) return Expected(env, value, place, "a Uint8Array");
  return std::span(static_cast<const std::byte*>(data), length);
}

Result<napi_value> MakeString(napi_env env, std::string_view text) {
  napi_value value;
  IRODORI_NAPI(napi_create_string_utf8(env, text.data(), text.size(), &value));
  return value;
}

Result<napi_value> MakeNumber(napi_env env, double number) {
  napi_value value;
  IRODORI_NAPI(napi_create_double(env, number, &value));
  return value;
}

Result<napi_value> MakeUndefined(napi_env env) {
  napi_value value;
  IRODORI_NAPI(napi_get_undefined(env, &value));
  return value;
}

Status SetProperty(napi_env env, napi_value object, const char* name, Result<napi_value> value) {
  if (!value.ok()) return value.status();
  IRODORI_NAPI(napi_set_named_property(env, object, name, value.value()));
  return Status::Ok();
}

}  // namespace irodori::addon
