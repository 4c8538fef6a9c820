// Devices, and what lives on them without a program: buffers and lanes.
#include "native/addon/handle.h"
#include "native/addon/lane_resource.h"
#include "native/addon/methods.h"

namespace irodori::addon {
namespace {

constexpr int64_t kMostThreads = 1024;

// Far beyond any machine, small enough that sums of two cannot overflow.
constexpr int64_t kMostBufferBytes = int64_t{1} << 46;

Result<std::unique_ptr<Device>> Open(const std::string& backend, const CpuOptions& options) {
  if (backend == "cpu") return OpenCpuDevice(options);
  if (backend == "reference") return OpenReferenceDevice();
  return Status(Code::kInvalidOption,
                "openDevice: device: expected cpu or reference, got " + backend);
}

}  // namespace

// openDevice(backend, instructions, threads): a device handle.
Result<napi_value> OpenDevice(Environment& environment, Arguments arguments) {
  napi_env env = environment.env();
  CpuOptions options;
  IRODORI_ASSIGN(std::string backend, ReadString(env, arguments[0], "openDevice: device"));
  IRODORI_ASSIGN(options.instructions, ReadString(env, arguments[1], "openDevice: instructions"));
  IRODORI_ASSIGN(int64_t threads,
                 ReadInteger(env, arguments[2], 0, kMostThreads, "openDevice: threads"));
  options.threads = static_cast<int>(threads);
  auto resource = std::make_shared<DeviceResource>();
  IRODORI_ASSIGN(resource->device, Open(backend, options));
  return Wrap(environment, std::move(resource));
}

// describeDevice(device): what DeviceInfo says; dtypes by their code.
Result<napi_value> DescribeDevice(Environment& environment, Arguments arguments) {
  napi_env env = environment.env();
  IRODORI_ASSIGN(auto resource,
                 ReadHandle<DeviceResource>(environment, arguments[0], "device.info"));
  const DeviceInfo& info = resource->device->info();
  napi_value object;
  IRODORI_NAPI(napi_create_object(env, &object));
  auto set = [&](const char* name, Result<napi_value> value) {
    return SetProperty(env, object, name, std::move(value));
  };
  IRODORI_RETURN_IF_ERROR(set("backend", MakeString(env, info.backend)));
  IRODORI_RETURN_IF_ERROR(set("name", MakeString(env, info.name)));
  IRODORI_RETURN_IF_ERROR(set("arithmetic", MakeString(env, info.arithmetic)));
  IRODORI_RETURN_IF_ERROR(set("reason", MakeString(env, info.reason)));
  napi_value dtypes;
  IRODORI_NAPI(napi_create_array_with_length(env, info.dtypes.size(), &dtypes));
  for (size_t i = 0; i < info.dtypes.size(); ++i) {
    IRODORI_ASSIGN(napi_value dtype, MakeNumber(env, static_cast<double>(info.dtypes[i])));
    IRODORI_NAPI(napi_set_element(env, dtypes, static_cast<uint32_t>(i), dtype));
  }
  IRODORI_RETURN_IF_ERROR(set("dtypes", dtypes));
  IRODORI_RETURN_IF_ERROR(
      set("preferredDtype", MakeNumber(env, static_cast<double>(info.preferred_dtype))));
  IRODORI_RETURN_IF_ERROR(set("threads", MakeNumber(env, info.threads)));
  IRODORI_RETURN_IF_ERROR(
      set("memoryBytes", MakeNumber(env, static_cast<double>(info.memory_bytes))));
  IRODORI_RETURN_IF_ERROR(set("attentionKeyBlock", MakeNumber(env, info.attention_key_block)));
  return object;
}

// deviceMemory(device): bytes alive through this handle, by what they are.
Result<napi_value> DeviceMemory(Environment& environment, Arguments arguments) {
  napi_env env = environment.env();
  IRODORI_ASSIGN(auto resource,
                 ReadHandle<DeviceResource>(environment, arguments[0], "device.memory"));
  napi_value object;
  IRODORI_NAPI(napi_create_object(env, &object));
  auto set = [&](const char* name, int64_t bytes) {
    return SetProperty(env, object, name, MakeNumber(env, static_cast<double>(bytes)));
  };
  IRODORI_RETURN_IF_ERROR(set("packBytes", resource->pack_bytes));
  IRODORI_RETURN_IF_ERROR(set("bufferBytes", resource->buffer_bytes));
  IRODORI_RETURN_IF_ERROR(set("arenaBytes", resource->arena_bytes));
  return object;
}

// allocateBuffer(device, sizeBytes): a buffer handle.
Result<napi_value> AllocateBuffer(Environment& environment, Arguments arguments) {
  IRODORI_ASSIGN(auto device,
                 ReadHandle<DeviceResource>(environment, arguments[0], "allocate: device"));
  IRODORI_ASSIGN(int64_t size_bytes, ReadInteger(environment.env(), arguments[1], 0,
                                                 kMostBufferBytes, "allocate: sizeBytes"));
  IRODORI_ASSIGN(std::shared_ptr<Buffer> buffer, device->device->Allocate(size_bytes));
  auto resource = std::make_shared<BufferResource>(std::move(device), std::move(buffer));
  int64_t bytes = resource->size_bytes;
  return Wrap(environment, std::move(resource), bytes);
}

// openLane(device): a lane handle.
Result<napi_value> OpenLane(Environment& environment, Arguments arguments) {
  IRODORI_ASSIGN(auto device,
                 ReadHandle<DeviceResource>(environment, arguments[0], "openLane: device"));
  IRODORI_ASSIGN(std::unique_ptr<Lane> lane, device->device->OpenLane());
  return Wrap(environment, std::make_shared<LaneResource>(std::move(device), std::move(lane)));
}

}  // namespace irodori::addon
