// The functions the addon exports, one row each in addon.cc; src/bindings/addon.ts is the same page
// in types.
#pragma once

#include <span>

#include "native/addon/environment.h"

namespace irodori::addon {

using Arguments = std::span<const napi_value>;

// device_methods.cc
Result<napi_value> OpenDevice(Environment& environment, Arguments arguments);
Result<napi_value> DescribeDevice(Environment& environment, Arguments arguments);
Result<napi_value> DeviceMemory(Environment& environment, Arguments arguments);
Result<napi_value> AllocateBuffer(Environment& environment, Arguments arguments);
Result<napi_value> OpenLane(Environment& environment, Arguments arguments);
Result<napi_value> MeasurePeak(Environment& environment, Arguments arguments);

// weight_methods.cc
Result<napi_value> ReadIndex(Environment& environment, Arguments arguments);
Result<napi_value> MakePack(Environment& environment, Arguments arguments);

// executable_methods.cc
Result<napi_value> BindExecutable(Environment& environment, Arguments arguments);
Result<napi_value> RunExecutable(Environment& environment, Arguments arguments);

// handle_methods.cc
Result<napi_value> MakeCancel(Environment& environment, Arguments arguments);
Result<napi_value> Abort(Environment& environment, Arguments arguments);
Result<napi_value> Release(Environment& environment, Arguments arguments);

}  // namespace irodori::addon
