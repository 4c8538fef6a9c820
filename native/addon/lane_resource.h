// A lane as a JS handle owns it: with the thread that its runs take turns on.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "native/addon/job_thread.h"
#include "native/addon/resource.h"

namespace irodori::addon {

struct LaneResource : Resource {
  static constexpr const char* kName = "a lane handle";
  static constexpr ResourceKind kKind = ResourceKind::kLane;
  LaneResource(std::shared_ptr<DeviceResource> on, std::unique_ptr<Lane> opened)
      : device(std::move(on)), lane(std::move(opened)), thread("irodori-run") {}
  ~LaneResource() override { device->arena_bytes -= arena_bytes; }
  std::shared_ptr<DeviceResource> device;
  std::unique_ptr<Lane> lane;
  int64_t arena_bytes = 0;  // as of the last finished run
  JobThread thread;         // begins with the first run, ends with the lane; its jobs keep us alive
};

}  // namespace irodori::addon
