// The module: its exports, and the one place where a Status becomes a JS exception.
#include <dlfcn.h>

#include <array>

#include "native/addon/methods.h"

namespace irodori::addon {
namespace {

using Method = Result<napi_value> (*)(Environment&, Arguments);

template <Method kMethod, size_t kArity>
Result<napi_value> CallFrom(napi_env env, napi_callback_info info) {
  std::array<napi_value, kArity + 1> values = {};  // missing ones are undefined
  size_t count = kArity;
  IRODORI_NAPI(napi_get_cb_info(env, info, &count, values.data(), nullptr, nullptr));
  IRODORI_ASSIGN(Environment * environment, Environment::Of(env));
  return kMethod(*environment, Arguments(values.data(), kArity));
}

template <Method kMethod, size_t kArity>
napi_value Entry(napi_env env, napi_callback_info info) {
  napi_value value = nullptr;
  const Status status = Guarded([&]() -> Status {
    IRODORI_ASSIGN(value, (CallFrom<kMethod, kArity>(env, info)));
    return Status::Ok();
  });
  if (!status.ok()) Throw(env, status);
  return value;
}

struct Export {
  const char* name;
  napi_callback entry;
};

constexpr Export kExports[] = {
    {"openDevice", Entry<OpenDevice, 3>},     {"describeDevice", Entry<DescribeDevice, 1>},
    {"deviceMemory", Entry<DeviceMemory, 1>}, {"allocateBuffer", Entry<AllocateBuffer, 2>},
    {"openLane", Entry<OpenLane, 1>},         {"measurePeak", Entry<MeasurePeak, 5>},
    {"readIndex", Entry<ReadIndex, 2>},       {"makePack", Entry<MakePack, 7>},
    {"bind", Entry<BindExecutable, 4>},       {"run", Entry<RunExecutable, 7>},
    {"makeCancel", Entry<MakeCancel, 0>},     {"abort", Entry<Abort, 1>},
    {"release", Entry<Release, 1>},
};

// Node unloads an addon with the last worker that loaded it; native threads and exit handlers must
// never lose their code, so the library pins itself.
void StayLoaded() {
  Dl_info self;
  static const char kAnchor = 0;
  if (dladdr(&kAnchor, &self) != 0 && self.dli_fname != nullptr) {
    (void)dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

Status Initialise(napi_env env, napi_value exports) {
  StayLoaded();
  IRODORI_ASSIGN(Environment * environment, Environment::Open(env));
  (void)environment;
  for (const Export& entry : kExports) {
    napi_value function;
    IRODORI_NAPI(
        napi_create_function(env, entry.name, NAPI_AUTO_LENGTH, entry.entry, nullptr, &function));
    IRODORI_RETURN_IF_ERROR(SetProperty(env, exports, entry.name, function));
  }
  return Status::Ok();
}

}  // namespace
}  // namespace irodori::addon

NAPI_MODULE_INIT() {
  const irodori::Status status =
      irodori::addon::Guarded([&] { return irodori::addon::Initialise(env, exports); });
  if (!status.ok()) irodori::addon::Throw(env, status);
  return exports;
}
