// A native thread with its own stack that works through a queue of jobs, one after another.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "native/addon/job.h"

namespace irodori::addon {

class JobThread {
 public:
  explicit JobThread(std::string name) : name_(std::move(name)) {}
  ~JobThread();
  JobThread(const JobThread&) = delete;
  JobThread& operator=(const JobThread&) = delete;

  // Queues the one job of the list, which is empty afterwards; starts the thread at the first one.
  // Where it fails the list is left as it was.
  Status Push(JobList& job);

  // Takes the queued jobs of one environment out of the queue; only those of `cancel` unless it is
  // null.
  JobList TakeQueued(const Mailbox* mailbox, const Cancel* cancel);

  // Returns when no job of that environment is at work.
  void WaitForRunning(const Mailbox* mailbox);

  // At process exit: drops the queue, cancels what runs, waits a bounded time for it to stop.
  void Abandon();

 private:
  static void* Main(void* self);
  void Loop();

  const std::string name_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable idle_;
  JobList queue_;
  std::shared_ptr<Mailbox> running_;  // whose job is at work
  std::shared_ptr<Cancel> running_cancel_;
  bool ending_ = false;
  bool abandoned_ = false;  // the process is exiting: nobody reads results
  bool started_ = false;
  pthread_t thread_ = {};
};

// The two threads of the process, shared by all environments.
struct JobThreads {
  JobThread runner{"irodori-run"};   // runs: each takes the whole thread team
  JobThread loader{"irodori-load"};  // packs, programs, file headers
};

// The threads end when the last environment lets go of them.
std::shared_ptr<JobThreads> AcquireJobThreads();

}  // namespace irodori::addon
