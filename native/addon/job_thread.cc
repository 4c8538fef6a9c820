// Job threads: explicit stack, no signals, one job at a time.
#include "native/addon/job_thread.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <set>

#include "native/addon/checked.h"

namespace irodori::addon {
namespace {

// Kernels keep tiles and small tables on the stack, recipes recurse once per nested node.
constexpr size_t kStackBytes = size_t{8} << 20;

// How long process exit waits for work to see its abort flag.
constexpr std::chrono::seconds kExitPatience{5};

// All job threads. Never destroyed: process.exit() runs static destructors while the threads may be
// at work.
struct Registry {
  std::mutex mutex;
  std::set<JobThread*> threads;
};

Registry& TheRegistry();

// process.exit() on the main thread skips environment clean-up; what other libraries destroy at
// exit must not be in use then. Joining is left to the end of the process.
void AbandonAll() {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  const auto end = std::chrono::steady_clock::now() + kExitPatience;
  for (JobThread* thread : registry.threads) thread->Abandon();
  for (JobThread* thread : registry.threads) thread->WaitUntilIdle(end);
}

Registry& TheRegistry() {
  static Registry& registry = [&]() -> Registry& {
    (void)std::atexit(AbandonAll);
    return *new Registry;
  }();
  return registry;
}

Status WorkGuarded(Job& job, const std::atomic<bool>& abort) {
  return Guarded(
      [&] { return abort ? Status(Code::kAborted, "aborted before it began") : job.Work(abort); });
}

}  // namespace

JobThread::JobThread(std::string name) : name_(std::move(name)) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  registry.threads.insert(this);
}

JobThread::~JobThread() {
  bool started;
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
    started = started_;
  }
  work_.notify_all();
  if (started) (void)pthread_join(thread_, nullptr);
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  registry.threads.erase(this);
}

Status JobThread::Push(JobList& job) {
  std::lock_guard lock(mutex_);
  if (abandoned_) return Status(Code::kAborted, name_ + ": the process is exiting");
  if (!started_) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
      return Status(Code::kOutOfMemory, name_ + ": no thread attributes");
    }
    // Signals belong to the threads that Node started.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int error = pthread_attr_setstacksize(&attributes, kStackBytes);
    if (error == 0) {
      pthread_sigmask(SIG_SETMASK, &all, &before);
      error = pthread_create(&thread_, &attributes, Main, this);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    pthread_attr_destroy(&attributes);
    if (error != 0) {
      return Status(Code::kOutOfMemory,
                    name_ + ": expected a new thread, got error " + std::to_string(error));
    }
#ifdef __linux__
    (void)pthread_setname_np(thread_, name_.c_str());
#endif
    started_ = true;
  }
  auto place = queue_.end();
  if (job.front()->Short()) {
    place = std::ranges::find_if(queue_, [](const Job* queued) { return !queued->Short(); });
  }
  queue_.splice(place, job);
  work_.notify_one();
  return Status::Ok();
}

JobList JobThread::TakeQueued(const Mailbox* mailbox, const Cancel* cancel) {
  JobList taken;
  std::lock_guard lock(mutex_);
  for (auto next = queue_.begin(); next != queue_.end();) {
    const auto job = next++;
    if ((*job)->mailbox_.get() != mailbox) continue;
    if (cancel != nullptr && (*job)->cancel_.get() != cancel) continue;
    taken.splice(taken.end(), queue_, job);
  }
  return taken;
}

void JobThread::WaitForRunning(const Mailbox* mailbox) {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return running_.get() != mailbox; });
}

void JobThread::Abandon() {
  std::lock_guard lock(mutex_);
  abandoned_ = true;
  queue_.clear();
  if (running_cancel_) running_cancel_->requested = true;
  work_.notify_all();
}

void JobThread::WaitUntilIdle(std::chrono::steady_clock::time_point end) {
  std::unique_lock lock(mutex_);
  idle_.wait_until(lock, end, [&] { return running_ == nullptr; });
}

void* JobThread::Main(void* self) {
  static_cast<JobThread*>(self)->Loop();
  return nullptr;
}

void JobThread::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return ending_ || abandoned_ || !queue_.empty(); });
    if (abandoned_ || queue_.empty()) return;
    JobList taken;
    taken.splice(taken.end(), queue_, queue_.begin());
    Job* job = taken.front();
    running_ = job->mailbox_;
    running_cancel_ = job->cancel_;
    std::shared_ptr<Mailbox> mailbox = running_;
    lock.unlock();
    Status outcome = WorkGuarded(*job, running_cancel_->requested);
    lock.lock();
    if (!abandoned_) {
      lock.unlock();
      job->outcome_ = std::move(outcome);
      mailbox->Deliver(std::move(taken));  // from here on the JS thread may have destroyed the job
      lock.lock();
    }
    running_.reset();
    running_cancel_.reset();
    idle_.notify_all();
  }
}

std::shared_ptr<JobThread> AcquireLoader() {
  // Never destroyed, as the registry.
  static std::mutex& mutex = *new std::mutex;
  static std::weak_ptr<JobThread>& current = *new std::weak_ptr<JobThread>;
  std::lock_guard lock(mutex);
  std::shared_ptr<JobThread> loader = current.lock();
  if (!loader) {
    loader = std::make_shared<JobThread>("irodori-load");
    current = loader;
  }
  return loader;
}

}  // namespace irodori::addon
