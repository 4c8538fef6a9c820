// A native thread with its own stack that works through a queue of jobs, one after another.
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "native/addon/job.h"

namespace irodori::addon {

class JobThread {
 public:
  explicit JobThread(std::string name);
  // Waits for the job at work. None may be queued.
  ~JobThread();
  JobThread(const JobThread&) = delete;
  JobThread& operator=(const JobThread&) = delete;

  // Queues the one job of the list, short ones before others; the list is empty afterwards. Starts
  // the thread at the first one.
  // Where it fails the list is left as it was.
  Status Push(JobList& job);

  // Takes the queued jobs of one environment out of the queue; only those of `cancel` unless it is
  // null.
  JobList TakeQueued(const Mailbox* mailbox, const Cancel* cancel);

  // Returns when no job of that environment is at work.
  void WaitForRunning(const Mailbox* mailbox);

  // At process exit: drops the queue, cancels what runs, takes nothing more.
  void Abandon();
  void WaitUntilIdle(std::chrono::steady_clock::time_point end);

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

// The thread of everything but runs: packs, programs, file headers. All environments share it; it
// ends when the last one lets go of it. Runs have a thread for each lane.
std::shared_ptr<JobThread> AcquireLoader();

}  // namespace irodori::addon
