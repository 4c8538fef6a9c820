// One-step Programs that benches run in turns with each other.
#pragma once

#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

#include "native/core/backend.h"
#include "tests/native/bench.h"
#include "tests/native/program_writer.h"

namespace irodori::test {

// Milliseconds of the process's own work: other processes do not decide.
inline double ProcessMilliseconds() {
  return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// A Program with one output, bound to weights and memory.
class Contender {
 public:
  Contender(Device& device, const Program& written) : device_(device) {
    const auto program = std::make_shared<const Program>(DecodeProgram(Encode(written)).value());
    for (const ParamSpec& param : program->params) {
      HostTensor tensor{param.shape, {}};
      for (int64_t i = 0; i < Elements(param.shape); ++i) {
        tensor.data.push_back(static_cast<float>(i % 17) * 0.01f - 0.08f);
      }
      packs_.push_back(device.MakePack(param, tensor).value());
    }
    executable_ = std::move(device.Bind(program, packs_)).value();
    lane_ = std::move(device.OpenLane()).value();
    std::vector<Port> ports = program->inputs;
    ports.push_back(program->outputs[0]);
    for (const Port& port : ports) {
      const int64_t bytes = program->buffers[port.buffer].row_bytes();
      memory_.push_back(device.Allocate(bytes).value());
      bindings_.push_back({nullptr, memory_.back().get(), 0, bytes});
    }
  }

  void Run() {
    const std::span<const RowBinding> all(bindings_);
    const RunArgs args{1, all.first(all.size() - 1), all.last(1), nullptr, {}};
    const double start = ProcessMilliseconds();
    if (!device_.Run(*lane_, *executable_, args).ok()) std::abort();
    times.push_back(ProcessMilliseconds() - start);
  }

  std::vector<double> times;

 private:
  Device& device_;
  std::vector<std::shared_ptr<Pack>> packs_;
  std::unique_ptr<Executable> executable_;
  std::unique_ptr<Lane> lane_;
  std::vector<std::shared_ptr<Buffer>> memory_;
  std::vector<RowBinding> bindings_;
};

// Runs all in turns, after one run of each that is not counted; medians in their order.
inline std::vector<double> InTurns(std::vector<Contender>& contenders, int rounds) {
  for (int round = -1; round < rounds; ++round) {
    for (Contender& one : contenders) {
      one.Run();
      if (round < 0) one.times.clear();
    }
  }
  std::vector<double> medians;
  for (const Contender& one : contenders) medians.push_back(Median(one.times));
  return medians;
}

}  // namespace irodori::test
