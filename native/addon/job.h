// Jobs: work that leaves the JS thread, the flag that cancels it, and the mailbox its result comes
// back through.
#pragma once

#include <node_api.h>

#include <atomic>
#include <list>
#include <memory>
#include <mutex>

#include "native/addon/resource.h"
#include "native/core/status.h"

namespace irodori::addon {

class Environment;
class JobThread;
class Mailbox;

// The abort flag of one call.
struct Cancel : Resource {
  static constexpr const char* kName = "a cancel handle";
  static constexpr ResourceKind kKind = ResourceKind::kCancel;
  std::atomic<bool> requested = false;
};

// A job's place in a queue is made with the job and moved from list to list: handing one on never
// needs memory.
class Job;
using JobList = std::list<Job*>;

// Made and destroyed on the JS thread by its Environment; between Push and Deliver lent to a
// JobThread.
class Job {
 public:
  virtual ~Job() = default;
  // On a native thread. Touches no N-API; returns kAborted soon after `abort` turns true.
  virtual Status Work(const std::atomic<bool>& abort) = 0;
  // On the JS thread, after Work succeeded: what the promise resolves to.
  virtual Result<napi_value> Finish(Environment& environment) = 0;
  // Short work that goes ahead of what is not, in the order of its kind.
  virtual bool Short() const { return false; }

 private:
  friend class Environment;
  friend class JobThread;
  JobThread* thread_ = nullptr;  // that it was sent to
  std::shared_ptr<Cancel> cancel_;
  std::shared_ptr<Mailbox> mailbox_;
  napi_deferred deferred_ = nullptr;
  napi_ref held_ = nullptr;  // JS values whose memory the work reads and writes
  Status outcome_;
};

// Carries finished jobs back to the JS thread of one environment. After Close nobody calls into
// that environment.
class Mailbox {
 public:
  explicit Mailbox(napi_threadsafe_function wake) : wake_(wake) {}

  // From any thread. Jobs delivered to a closed mailbox stay with their environment, which is about
  // to destroy them.
  void Deliver(JobList jobs) {
    std::lock_guard lock(mutex_);
    if (!open_ || jobs.empty()) return;
    done_.splice(done_.end(), jobs);
    // Fails only when the function is closing, and then the environment is too.
    (void)napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  }

  JobList TakeDone() {
    std::lock_guard lock(mutex_);
    return std::exchange(done_, {});
  }

  void Close() {
    std::lock_guard lock(mutex_);
    open_ = false;
    done_.clear();
  }

  bool open() {
    std::lock_guard lock(mutex_);
    return open_;
  }

 private:
  std::mutex mutex_;
  bool open_ = true;
  JobList done_;
  napi_threadsafe_function wake_;
};

}  // namespace irodori::addon
