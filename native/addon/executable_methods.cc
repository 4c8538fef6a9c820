// Executables: bound off the JS thread, run on a lane.
#include "native/addon/handle.h"
#include "native/addon/lane_resource.h"
#include "native/addon/methods.h"
#include "native/addon/row_bindings.h"

namespace irodori::addon {
namespace {

constexpr int64_t kMostRows = 65536;

class BindJob : public Job {
 public:
  BindJob(std::shared_ptr<DeviceResource> device, std::vector<std::byte> program,
          std::vector<std::shared_ptr<PackResource>> packs)
      : program_(std::move(program)), resource_(std::make_shared<ExecutableResource>()) {
    resource_->device = std::move(device);
    resource_->packs = std::move(packs);
  }

  Status Work(const std::atomic<bool>& abort) override {
    IRODORI_ASSIGN(Program program, DecodeProgram(program_, &abort));
    if (program.params.size() != resource_->packs.size()) {
      return Status(Code::kInvalidArgument,
                    "bind: expected " + std::to_string(program.params.size()) + " packs, got " +
                        std::to_string(resource_->packs.size()));
    }
    std::vector<std::shared_ptr<Pack>> packs;
    for (const auto& pack : resource_->packs) packs.push_back(pack->pack);
    IRODORI_ASSIGN(resource_->executable, resource_->device->device->Bind(
                                              std::make_shared<const Program>(std::move(program)),
                                              std::move(packs), &abort));
    return Status::Ok();
  }

  Result<napi_value> Finish(Environment& environment) override {
    return Wrap(environment, std::move(resource_));
  }

  bool Short() const override { return true; }

 private:
  std::vector<std::byte> program_;
  std::shared_ptr<ExecutableResource> resource_;
};

class RunJob : public Job {
 public:
  RunJob(std::shared_ptr<LaneResource> lane, std::shared_ptr<ExecutableResource> executable,
         int64_t rows, BoundRows bound, bool timed)
      : lane_(std::move(lane)),
        executable_(std::move(executable)),
        rows_(rows),
        bound_(std::move(bound)),
        step_ns_(timed ? executable_->executable->program().steps.size() : 0) {}

  Status Work(const std::atomic<bool>& abort) override {
    RunArgs args{.rows = rows_,
                 .inputs = bound_.inputs,
                 .outputs = bound_.outputs,
                 .abort = &abort,
                 .step_ns = step_ns_};
    Status status = lane_->device->device->Run(*lane_->lane, *executable_->executable, args);
    int64_t arena_bytes = lane_->lane->arena_bytes();
    lane_->device->arena_bytes += arena_bytes - lane_->arena_bytes;
    lane_->arena_bytes = arena_bytes;
    arena_bytes_ = arena_bytes;
    return status;
  }

  Result<napi_value> Finish(Environment& environment) override {
    if (lane_->handle_alive) {
      AdjustExternal(environment.env(), ResourceKind::kLane, arena_bytes_ - lane_->reported_bytes);
      lane_->reported_bytes = arena_bytes_;
    }
    if (step_ns_.empty()) return MakeUndefined(environment.env());
    return MakeNumbers(environment.env(), step_ns_);
  }

 private:
  std::shared_ptr<LaneResource> lane_;
  std::shared_ptr<ExecutableResource> executable_;
  int64_t rows_;
  BoundRows bound_;
  std::vector<int64_t> step_ns_;  // empty where nobody asked
  int64_t arena_bytes_ = 0;
};

}  // namespace

// bind(device, program, packs, cancel): promise of an executable handle.
Result<napi_value> BindExecutable(Environment& environment, Arguments arguments) {
  napi_env env = environment.env();
  IRODORI_ASSIGN(auto device,
                 ReadHandle<DeviceResource>(environment, arguments[0], "bind: device"));
  IRODORI_ASSIGN(std::span<const std::byte> program, ReadBytes(env, arguments[1], "bind: program"));
  IRODORI_ASSIGN(std::vector<napi_value> handles, ReadArray(env, arguments[2], "bind: packs"));
  std::vector<std::shared_ptr<PackResource>> packs;
  for (napi_value handle : handles) {
    IRODORI_ASSIGN(auto pack, ReadHandle<PackResource>(environment, handle, "bind: packs"));
    if (pack->device != device) {
      return Status(Code::kInvalidArgument,
                    "bind: packs: expected packs of the same device, got another device's");
    }
    packs.push_back(std::move(pack));
  }
  IRODORI_ASSIGN(auto cancel, ReadHandle<Cancel>(environment, arguments[3], "bind: cancel"));
  auto job = std::make_unique<BindJob>(
      std::move(device), std::vector<std::byte>(program.begin(), program.end()), std::move(packs));
  return environment.Submit(environment.loader(), std::move(job), std::move(cancel));
}

// run(lane, executable, rows, inputs, outputs, cancel, timed): promise of undefined, or of the
// nanoseconds of every step.
Result<napi_value> RunExecutable(Environment& environment, Arguments arguments) {
  napi_env env = environment.env();
  IRODORI_ASSIGN(auto lane, ReadHandle<LaneResource>(environment, arguments[0], "run: lane"));
  IRODORI_ASSIGN(auto executable, ReadHandle<ExecutableResource>(environment, arguments[1], "run"));
  if (lane->device != executable->device) {
    return Status(Code::kInvalidArgument,
                  "run: expected a lane of the executable's device, got another device's");
  }
  IRODORI_ASSIGN(int64_t rows, ReadInteger(env, arguments[2], 1, kMostRows, "run: rows"));
  IRODORI_ASSIGN(BoundRows bound,
                 ReadRows(environment, *executable->device, executable->executable->program(), rows,
                          arguments[3], arguments[4]));
  IRODORI_ASSIGN(auto cancel, ReadHandle<Cancel>(environment, arguments[5], "run: cancel"));
  bool timed = false;
  IRODORI_NAPI(napi_get_value_bool(env, arguments[6], &timed));
  napi_value held = bound.held;
  JobThread& thread = lane->thread;
  auto job = std::make_unique<RunJob>(std::move(lane), std::move(executable), rows,
                                      std::move(bound), timed);
  return environment.Submit(thread, std::move(job), std::move(cancel), held);
}

}  // namespace irodori::addon
