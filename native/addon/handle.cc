// Handles: wrapped and tagged JS objects.
#include "native/addon/handle.h"

namespace irodori::addon {
namespace {

struct Handle {
  ResourceKind kind;
  std::shared_ptr<Resource> resource;
  std::shared_ptr<Mailbox> mailbox;  // tells whether the environment still takes calls
};

constexpr napi_type_tag kHandleTag = {0x6972'6f64'6f72'6901, 0x9c3e'51d7'08b2'4f6a};

void LetGo(napi_env env, Handle& handle) {
  if (!handle.resource) return;
  if (handle.mailbox->open()) AdjustExternal(env, handle.kind, -handle.resource->reported_bytes);
  handle.resource->reported_bytes = 0;
  handle.resource->handle_alive = false;
  handle.resource.reset();
}

void Finalize(napi_env env, void* data, void* /*hint*/) {
  std::unique_ptr<Handle> handle(static_cast<Handle*>(data));
  LetGo(env, *handle);
}

// Null when `value` is no handle.
Handle* Unwrap(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  bool tagged = false;
  void* data = nullptr;
  if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return nullptr;
  if (napi_check_object_type_tag(env, value, &kHandleTag, &tagged) != napi_ok || !tagged) {
    return nullptr;
  }
  if (napi_unwrap(env, value, &data) != napi_ok) return nullptr;
  return static_cast<Handle*>(data);
}

}  // namespace

Result<napi_value> MakeHandle(Environment& environment, ResourceKind kind,
                              std::shared_ptr<Resource> resource, int64_t bytes) {
  napi_env env = environment.env();
  napi_value object;
  IRODORI_NAPI(napi_create_object(env, &object));
  auto handle = std::make_unique<Handle>(Handle{kind, resource, environment.mailbox()});
  IRODORI_NAPI(napi_wrap(env, object, handle.get(), Finalize, nullptr, nullptr));
  (void)handle.release();  // the finalizer's from here on
  IRODORI_NAPI(napi_type_tag_object(env, object, &kHandleTag));
  resource->reported_bytes = bytes;
  AdjustExternal(env, kind, bytes);
  return object;
}

Result<std::shared_ptr<Resource>> ReadResource(Environment& environment, napi_value value,
                                               ResourceKind kind, const char* name,
                                               std::string_view place) {
  Handle* handle = Unwrap(environment.env(), value);
  if (handle == nullptr || handle->kind != kind) {
    std::string got = handle ? "another handle" : TypeName(environment.env(), value);
    return Status(Code::kInvalidArgument,
                  std::string(place) + ": expected " + name + ", got " + got);
  }
  if (!handle->resource) {
    return Status(Code::kDisposed,
                  std::string(place) + ": expected " + name + " in use, got a disposed one");
  }
  return handle->resource;
}

bool IsHandle(Environment& environment, napi_value value) {
  return Unwrap(environment.env(), value) != nullptr;
}

Status ReleaseHandle(Environment& environment, napi_value value) {
  Handle* handle = Unwrap(environment.env(), value);
  if (handle == nullptr) {
    return Status(Code::kInvalidArgument,
                  "release: expected a handle, got " + TypeName(environment.env(), value));
  }
  LetGo(environment.env(), *handle);
  return Status::Ok();
}

}  // namespace irodori::addon
