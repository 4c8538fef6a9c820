// The process-wide thread team: a fixed set of threads that run blocks of one job at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace irodori {

// Blocks [0, blocks) of a job; body(context, block, thread) is called once for each.
struct JobPhase {
  int64_t blocks;
  void (*body)(void* context, int64_t block, int thread);
  void* context;
};
inline constexpr int kMostPhases = 3;

class ThreadTeam {
 public:
  virtual ~ThreadTeam() = default;
  // Threads that take part in ParallelFor, the caller included.
  virtual int threads() const = 0;
  // Runs at most kMostPhases phases; returns when all are done. No block of a phase is begun before
  // all of the phase before are done, and what those wrote is seen.
  // Every thread has a range of blocks of its own, which it takes in order, and goes on with what
  // is left of the others': who is fast helps who is slow, and jobs of equal blocks find their
  // memory in the caches of the threads that wrote it. `thread` in [0, threads()) picks per-thread
  // scratch. Jobs of several lanes queue up one after another.
  virtual void RunPhases(std::span<const JobPhase> phases) = 0;
  void ParallelFor(int64_t blocks, void (*body)(void* context, int64_t block, int thread),
                   void* context) {
    const JobPhase phase = {blocks, body, context};
    RunPhases({&phase, 1});
  }
  // Between these, jobs follow each other closely: threads that wait stay awake longer.
  virtual void BeginSeries() = 0;
  virtual void EndSeries() = 0;
};

// A scope whose jobs follow each other closely.
class JobSeries {
 public:
  explicit JobSeries(ThreadTeam& team) : team_(team) { team_.BeginSeries(); }
  ~JobSeries() { team_.EndSeries(); }
  JobSeries(const JobSeries&) = delete;
  JobSeries& operator=(const JobSeries&) = delete;

 private:
  ThreadTeam& team_;
};

// The team of that many threads (0: all the process may use, cgroup quota and affinity respected),
// shared by everyone in the process who asks for the same number; its threads end with the last
// reference.
std::shared_ptr<ThreadTeam> AcquireThreadTeam(int threads);

// How many threads 0 stands for.
int UsableThreads();

}  // namespace irodori
