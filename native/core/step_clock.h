// Times the steps of a run, where the caller asked for it; else nothing but a look at a pointer.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

namespace irodori {

class StepClock {
 public:
  // `step_ns` is empty, or has a place for every step.
  explicit StepClock(std::span<int64_t> step_ns) : step_ns_(step_ns) {
    if (!step_ns_.empty()) last_ = Clock::now();
  }

  // After each step, in order.
  void EndStep() {
    if (step_ns_.empty()) return;
    const Clock::time_point now = Clock::now();
    step_ns_[step_++] = std::chrono::nanoseconds(now - last_).count();
    last_ = now;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::span<int64_t> step_ns_;
  size_t step_ = 0;
  Clock::time_point last_;
};

}  // namespace irodori
