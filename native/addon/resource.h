// Resources: the native things a JS handle can own, with what they hold alive and the bytes they
// are charged for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "native/core/backend.h"

namespace irodori::addon {

enum class ResourceKind : uint8_t { kDevice, kPack, kBuffer, kExecutable, kLane, kCancel };

struct Resource {
  virtual ~Resource() = default;
  // What V8 has been told about; the JS thread's alone.
  int64_t reported_bytes = 0;
  bool handle_alive = true;
};

struct DeviceResource : Resource {
  static constexpr const char* kName = "a device handle";
  static constexpr ResourceKind kKind = ResourceKind::kDevice;
  std::unique_ptr<Device> device;
  std::atomic<int64_t> pack_bytes = 0;
  std::atomic<int64_t> buffer_bytes = 0;
  std::atomic<int64_t> arena_bytes = 0;
};

// In the following the device is declared first, so that it is destroyed last.

struct PackResource : Resource {
  static constexpr const char* kName = "a pack handle";
  static constexpr ResourceKind kKind = ResourceKind::kPack;
  PackResource(std::shared_ptr<DeviceResource> on, std::shared_ptr<Pack> made)
      : device(std::move(on)), pack(std::move(made)), size_bytes(pack->size_bytes()) {
    device->pack_bytes += size_bytes;
  }
  ~PackResource() override { device->pack_bytes -= size_bytes; }
  std::shared_ptr<DeviceResource> device;
  std::shared_ptr<Pack> pack;
  const int64_t size_bytes;
};

struct BufferResource : Resource {
  static constexpr const char* kName = "a buffer handle";
  static constexpr ResourceKind kKind = ResourceKind::kBuffer;
  BufferResource(std::shared_ptr<DeviceResource> on, std::shared_ptr<Buffer> made)
      : device(std::move(on)), buffer(std::move(made)), size_bytes(buffer->size_bytes()) {
    device->buffer_bytes += size_bytes;
  }
  ~BufferResource() override { device->buffer_bytes -= size_bytes; }
  std::shared_ptr<DeviceResource> device;
  std::shared_ptr<Buffer> buffer;
  const int64_t size_bytes;
};

struct ExecutableResource : Resource {
  static constexpr const char* kName = "an executable handle";
  static constexpr ResourceKind kKind = ResourceKind::kExecutable;
  std::shared_ptr<DeviceResource> device;
  std::vector<std::shared_ptr<PackResource>> packs;
  std::unique_ptr<Executable> executable;
};

}  // namespace irodori::addon
