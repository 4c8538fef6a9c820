// Devices, and what lives on them without a program: buffers and lanes.
#include "native/addon/handle.h"
#include "native/addon/lane_resource.h"
#include "native/addon/methods.h"

namespace irodori::addon {
namespace {

constexpr int64_t kMostThreads = 1024;

// Far beyond any machine, small enough that sums of two cannot overflow.
constexpr int64_t kMostBufferBytes = int64_t{1} << 46;

constexpr int64_t kMostPeakMs = 10'000;

class PeakJob : public Job {
 public:
  PeakJob(std::shared_ptr<LaneResource> lane, std::string name, int threads,
          std::chrono::milliseconds time)
      : lane_(std::move(lane)), name_(std::move(name)), threads_(threads), time_(time) {}

  Status Work(const std::atomic<bool>& abort) override {
    IRODORI_ASSIGN(
        rate_, lane_->device->device->MeasurePeak(*lane_->lane, {name_, threads_, time_, &abort}));
    return Status::Ok();
  }

  Result<napi_value> Finish(Environment& environment) override {
    return MakeNumber(environment.env(), rate_);
  }

 private:
  std::shared_ptr<LaneResource> lane_;
  std::string name_;
  int threads_;
  std::chrono::milliseconds time_;
  double rate_ = 0;
};

Result<napi_value> MakeStrings(napi_env env, const std::vector<std::string>& texts) {
  napi_value array;
  IRODORI_NAPI(napi_create_array_with_length(env, texts.size(), &array));
  for (size_t i = 0; i < texts.size(); ++i) {
    IRODORI_ASSIGN(napi_value text, MakeString(env, texts[i]));
    IRODORI_NAPI(napi_set_element(env, array, static_cast<uint32_t>(i), text));
  }
  return array;
}

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
  IRODORI_RETURN_IF_ERROR(set("dtypes", MakeNumbers(env, info.dtypes)));
  IRODORI_RETURN_IF_ERROR(
      set("preferredDtype", MakeNumber(env, static_cast<double>(info.preferred_dtype))));
  IRODORI_RETURN_IF_ERROR(set("threads", MakeNumber(env, info.threads)));
  IRODORI_RETURN_IF_ERROR(
      set("memoryBytes", MakeNumber(env, static_cast<double>(info.memory_bytes))));
  IRODORI_RETURN_IF_ERROR(set("attentionKeyBlock", MakeNumber(env, info.attention_key_block)));
  IRODORI_RETURN_IF_ERROR(set("winogradTiles", MakeNumbers(env, info.winograd_tiles)));
  IRODORI_RETURN_IF_ERROR(set("winogradDtypes", MakeNumbers(env, info.winograd_dtypes)));
  IRODORI_RETURN_IF_ERROR(set("strassenDtypes", MakeNumbers(env, info.strassen_dtypes)));
  napi_value upsampled;
  IRODORI_NAPI(napi_get_boolean(env, info.upsampled_conv2d, &upsampled));
  IRODORI_RETURN_IF_ERROR(set("upsampledConv2d", upsampled));
  IRODORI_RETURN_IF_ERROR(set("widenedDtypes", MakeNumbers(env, info.widened_dtypes)));
  IRODORI_RETURN_IF_ERROR(set("int8Products", MakeNumbers(env, info.int8_products)));
  IRODORI_RETURN_IF_ERROR(set("int8Sums", MakeNumber(env, info.int8_sums)));
  IRODORI_RETURN_IF_ERROR(set("peaks", MakeStrings(env, info.peaks)));
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

// measurePeak(lane, name, threads, milliseconds, cancel): promise of operations or bytes a second.
// It takes its turn among the runs of the lane.
Result<napi_value> MeasurePeak(Environment& environment, Arguments arguments) {
  napi_env env = environment.env();
  IRODORI_ASSIGN(auto lane, ReadHandle<LaneResource>(environment, arguments[0], "peak: lane"));
  IRODORI_ASSIGN(std::string name, ReadString(env, arguments[1], "peak: name"));
  IRODORI_ASSIGN(int64_t threads, ReadInteger(env, arguments[2], 0, kMostThreads, "peak: threads"));
  IRODORI_ASSIGN(int64_t milliseconds,
                 ReadInteger(env, arguments[3], 1, kMostPeakMs, "peak: milliseconds"));
  IRODORI_ASSIGN(auto cancel, ReadHandle<Cancel>(environment, arguments[4], "peak: cancel"));
  JobThread& thread = lane->thread;
  auto job = std::make_unique<PeakJob>(std::move(lane), std::move(name), static_cast<int>(threads),
                                       std::chrono::milliseconds(milliseconds));
  return environment.Submit(thread, std::move(job), std::move(cancel));
}

}  // namespace irodori::addon
