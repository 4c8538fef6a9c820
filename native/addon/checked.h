// Checked calls into N-API: every status becomes a Status, every argument read says what it
// expected and what it got.
//
// Plain C calls, not the C++ wrappers of node-addon-api: where a worker is being terminated every
// call may fail, and those wrappers answer a failure they cannot throw by ending the process.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "native/core/status.h"

namespace irodori::addon {

// The Status of an exception; needs no memory when there is none.
Status StatusOf(const std::exception& error) noexcept;

// What `call` returns, a Status or a Result. Everything that Node or a native thread calls goes
// through here: no exception may pass their frames.
template <typename Call>
auto Guarded(Call call) noexcept -> decltype(call()) {
  try {
    return call();
  } catch (const std::exception& error) {
    return StatusOf(error);
  }
}

// The Status of a failed call; the expression names it.
Status FailedCall(std::string_view expression, napi_status status);

// What JavaScript is told: {code, message}; `code` is "aborted" or one of
// native/core/error_codes.def.
Result<napi_value> MakeError(napi_env env, const Status& status);

// Throws MakeError, unless an exception is pending already or the environment can no longer run
// JavaScript.
void Throw(napi_env env, const Status& status);

// "string", "undefined", "object": for messages.
std::string TypeName(napi_env env, napi_value value);

// `place` begins the message: "openDevice: threads".
Result<std::string> ReadString(napi_env env, napi_value value, std::string_view place);
Result<int64_t> ReadInteger(napi_env env, napi_value value, int64_t least, int64_t most,
                            std::string_view place);
Result<std::vector<napi_value>> ReadArray(napi_env env, napi_value value, std::string_view place);
// At most kMaxRank axes and fewer than kMaxElements elements.
Result<std::vector<int64_t>> ReadShape(napi_env env, napi_value value, std::string_view place);

// The bytes of a Uint8Array; valid until the JS call that handed them in returns.
Result<std::span<const std::byte>> ReadBytes(napi_env env, napi_value value,
                                             std::string_view place);

Result<napi_value> MakeString(napi_env env, std::string_view text);
Result<napi_value> MakeNumber(napi_env env, double number);
Result<napi_value> MakeUndefined(napi_env env);
Status SetProperty(napi_env env, napi_value object, const char* name, Result<napi_value> value);

}  // namespace irodori::addon

// Returns from the enclosing function when an N-API call fails.
#define IRODORI_NAPI(expression)                                            \
  do {                                                                      \
    if (napi_status napi_status_ = (expression); napi_status_ != napi_ok) { \
      return ::irodori::addon::FailedCall(#expression, napi_status_);       \
    }                                                                       \
  } while (false)

// IRODORI_ASSIGN(std::string name, ReadString(...)): the value, or returns its Status.
#define IRODORI_ASSIGN(target, expression) \
  IRODORI_ASSIGN_NAMED(target, expression, IRODORI_JOIN(result_, __LINE__))
#define IRODORI_ASSIGN_NAMED(target, expression, name) \
  auto name = (expression);                            \
  if (!name.ok()) return name.status();                \
  target = std::move(name).value()
#define IRODORI_JOIN(a, b) IRODORI_JOIN_EXPANDED(a, b)
#define IRODORI_JOIN_EXPANDED(a, b) a##b

namespace irodori::addon {

// An array of numbers or codes.
template <typename T>
Result<napi_value> MakeNumbers(napi_env env, const std::vector<T>& values) {
  napi_value array;
  IRODORI_NAPI(napi_create_array_with_length(env, values.size(), &array));
  for (size_t i = 0; i < values.size(); ++i) {
    IRODORI_ASSIGN(napi_value number, MakeNumber(env, static_cast<double>(values[i])));
    IRODORI_NAPI(napi_set_element(env, array, static_cast<uint32_t>(i), number));
  }
  return array;
}

}  // namespace irodori::addon
