// Handles: JS objects that own one resource each, tagged so that no other object passes for one.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "native/addon/checked.h"
#include "native/addon/environment.h"
#include "native/addon/resource.h"

namespace irodori::addon {

// A JS object that owns `resource` until released or collected; V8 is told of `bytes`.
Result<napi_value> MakeHandle(Environment& environment, ResourceKind kind,
                              std::shared_ptr<Resource> resource, int64_t bytes);

// kInvalidArgument when `value` is no handle of that kind, kDisposed when it was released.
Result<std::shared_ptr<Resource>> ReadResource(Environment& environment, napi_value value,
                                               ResourceKind kind, const char* name,
                                               std::string_view place);

// Whether `value` is a handle of any kind.
bool IsHandle(Environment& environment, napi_value value);

// Gives up the resource: its memory is freed at once, or when the last job that uses it is done.
// Idempotent.
Status ReleaseHandle(Environment& environment, napi_value value);

template <typename T>
Result<napi_value> Wrap(Environment& environment, std::shared_ptr<T> resource, int64_t bytes = 0) {
  return MakeHandle(environment, T::kKind, std::move(resource), bytes);
}

template <typename T>
Result<std::shared_ptr<T>> ReadHandle(Environment& environment, napi_value value,
                                      std::string_view place) {
  auto resource = ReadResource(environment, value, T::kKind, T::kName, place);
  if (!resource.ok()) return resource.status();
  return std::static_pointer_cast<T>(std::move(resource).value());
}

}  // namespace irodori::addon
