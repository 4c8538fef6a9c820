// The thread team: workers that spin for the next job, then sleep; the caller works too.
//
// A job is open while `gate_` has no kClosed bit. A worker that wakes in time counts itself in and
// takes blocks, its own range first; one that wakes too late finds the gate closed and goes back to
// waiting, so the caller never waits for a thread that is not running. When blocks run out the
// caller closes the gate and waits for those inside.
//
// Life: the registry of teams is never destroyed and no static destructor joins, so `exit` in the
// middle of a run ends the process with the workers still running, which is harmless as they touch
// only memory that exit does not free. Otherwise the last reference joins the workers. In a child
// made by fork they do not exist: the caller then works alone.
#include "native/core/thread_team.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace irodori {
namespace {

// Kernels keep their scratch on the heap; what is left fits many times. musl's default would be 128
// KiB.
constexpr size_t kStackBytes = size_t{1} << 20;
// How long a thread spins before it sleeps: in a series of jobs longer than most waits for another
// thread's last block, else much shorter than anyone would notice as wasted time. Being woken takes
// as long as a twentieth of a step (docs/performance.md).
constexpr std::chrono::microseconds kSpinInSeries{300};
constexpr std::chrono::microseconds kSpinAlone{50};
// Workers are this much nicer than the thread that made them: when CPUs are short, the JavaScript
// thread goes first.
constexpr int kWorkerNiceness = 5;
constexpr int kMaxThreads = 1024;
constexpr uint32_t kClosed = uint32_t{1} << 31;

// How often this process is a child of a process that had teams.
std::atomic<uint32_t> forks{0};
// The team whose block the current thread runs, if any, and which of its threads it is.
thread_local const void* current_team = nullptr;
thread_local int current_thread = 0;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// First come, first served: a mutex would let a busy lane take it again and again.
class Turns {
 public:
  void Take() {
    std::unique_lock lock(mutex_);
    const uint64_t ticket = next_++;
    served_.wait(lock, [&] { return serving_ == ticket; });
  }
  void Give() {
    {
      const std::lock_guard lock(mutex_);
      ++serving_;
    }
    served_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable served_;
  uint64_t next_ = 0;
  uint64_t serving_ = 0;
};

class Team final : public ThreadTeam {
 public:
  explicit Team(int threads)
      : forks_(forks.load()), ranges_(static_cast<size_t>(threads * kMostPhases)) {
    workers_.reserve(static_cast<size_t>(threads));
    // Where the system refuses more threads, the team is as large as it let us have.
    while (threads_ < threads && Start(threads_)) ++threads_;
  }

  ~Team() override {
    if (Forked()) return;
    stopping_.store(true, std::memory_order_relaxed);
    Announce();
    for (const std::unique_ptr<Worker>& worker : workers_) pthread_join(worker->handle, nullptr);
  }

  int threads() const override { return threads_; }

  void RunPhases(std::span<const JobPhase> phases) override {
    // A block that calls again, or a child that has no workers and may have copied a taken turn.
    const bool nested = current_team == this;
    if (nested || Forked()) {
      for (const JobPhase& phase : phases) {
        for (int64_t block = 0; block < phase.blocks; ++block)
          phase.body(phase.context, block, nested ? current_thread : 0);
      }
      return;
    }
    turns_.Take();
    phases_ = phases;
    bool shared = false;
    for (size_t phase = 0; phase < phases.size(); ++phase) {
      const int64_t blocks = phases[phase].blocks;
      for (int thread = 0; thread < threads_; ++thread) {
        Range& range = RangeOf(phase, thread);
        range.next.store(blocks * thread / threads_, std::memory_order_relaxed);
        range.end = blocks * (thread + 1) / threads_;
      }
      done_[phase].store(0, std::memory_order_relaxed);
      shared = shared || (blocks > 1 && !workers_.empty());
    }
    if (shared) {
      gate_.store(0, std::memory_order_release);
      Announce();
    }
    TakeBlocks(0);
    if (shared) Close();
    turns_.Give();
  }

  void BeginSeries() override { series_.fetch_add(1, std::memory_order_relaxed); }
  void EndSeries() override { series_.fetch_sub(1, std::memory_order_relaxed); }

  // Whether the workers stayed behind in the parent.
  bool Forked() const { return forks.load(std::memory_order_relaxed) != forks_; }

 private:
  struct Worker {
    Team* team;
    int thread;
    pthread_t handle;
  };

  bool Start(int thread) {
    auto worker = std::make_unique<Worker>(Worker{this, thread, {}});
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setstacksize(&attributes, kStackBytes);
    // Signals are for threads that expect them: workers are born with all of them blocked.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&worker->handle, &attributes, &Team::Main, worker.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (error == 0) workers_.push_back(std::move(worker));
    return error == 0;
  }

  static void* Main(void* argument) {
    const auto& worker = *static_cast<Worker*>(argument);
#ifdef __linux__
    pthread_setname_np(pthread_self(), "irodori");
    // On Linux niceness belongs to the thread. Refusal changes nothing but politeness.
    const auto id = static_cast<id_t>(syscall(SYS_gettid));
    (void)setpriority(PRIO_PROCESS, id, getpriority(PRIO_PROCESS, id) + kWorkerNiceness);
#endif
    worker.team->Serve(worker.thread);
    return nullptr;
  }

  // Spins while `waiting()` holds, for a limited time; then whoever calls sleeps or makes room.
  template <typename Condition>
  void SpinWhile(Condition waiting) {
    constexpr int kPausesPerLook = 32;  // at the clock
    const auto start = std::chrono::steady_clock::now();
    while (waiting()) {
      for (int i = 0; i < kPausesPerLook; ++i) {
        if (!waiting()) return;
        Pause();
      }
      const bool in_series = series_.load(std::memory_order_relaxed) > 0;
      const auto limit = in_series ? kSpinInSeries : kSpinAlone;
      if (std::chrono::steady_clock::now() - start >= limit) return;
    }
  }

  void Serve(int thread) {
    uint32_t seen = 0;
    for (;;) {
      SpinWhile([&] { return announced_.load(std::memory_order_relaxed) == seen; });
      announced_.wait(seen, std::memory_order_acquire);
      seen = announced_.load(std::memory_order_acquire);
      if (stopping_.load(std::memory_order_relaxed)) return;
      if (!Enter()) continue;
      TakeBlocks(thread);
      // The last one out of a closed gate tells the caller.
      if (gate_.fetch_sub(1, std::memory_order_acq_rel) == kClosed + 1) gate_.notify_one();
    }
  }

  void Announce() {
    announced_.fetch_add(1, std::memory_order_release);
    announced_.notify_all();
  }

  bool Enter() {
    uint32_t inside = gate_.load(std::memory_order_relaxed);
    while ((inside & kClosed) == 0) {
      if (gate_.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire,
                                      std::memory_order_relaxed))
        return true;
    }
    return false;
  }

  void Close() {
    uint32_t inside = gate_.fetch_or(kClosed, std::memory_order_acq_rel) | kClosed;
    if (inside == kClosed) return;
    SpinWhile([&] { return gate_.load(std::memory_order_relaxed) != kClosed; });
    while ((inside = gate_.load(std::memory_order_acquire)) != kClosed)
      gate_.wait(inside, std::memory_order_acquire);
  }

  void TakeBlocks(int thread) {
    const void* outer_team = std::exchange(current_team, this);
    const int outer_thread = std::exchange(current_thread, thread);
    for (size_t phase = 0; phase < phases_.size(); ++phase) {
      const int64_t taken = TakePhase(phase, thread);
      if (phase + 1 == phases_.size()) break;
      done_[phase].fetch_add(taken, std::memory_order_acq_rel);
      WaitFor(phase);
    }
    current_team = outer_team;
    current_thread = outer_thread;
  }

  // Its own range, then what is left of the others'. Returns how many blocks those were.
  int64_t TakePhase(size_t phase, int thread) {
    const JobPhase& job = phases_[phase];
    int64_t taken = 0;
    for (int i = 0; i < threads_; ++i) {
      Range& range = RangeOf(phase, (thread + i) % threads_);
      while (range.next.load(std::memory_order_relaxed) < range.end) {
        const int64_t block = range.next.fetch_add(1, std::memory_order_relaxed);
        if (block >= range.end) break;
        job.body(job.context, block, thread);
        ++taken;
      }
    }
    return taken;
  }

  // Until all blocks of a phase are done: others are at their last ones. Who waits long makes room.
  void WaitFor(size_t phase) {
    const auto waiting = [&] {
      return done_[phase].load(std::memory_order_acquire) < phases_[phase].blocks;
    };
    SpinWhile(waiting);
    while (waiting()) sched_yield();
  }

  const uint32_t forks_;
  int threads_ = 1;  // the caller
  std::vector<std::unique_ptr<Worker>> workers_;
  Turns turns_;

  // The job; written only while the gate is closed and nobody is inside.
  std::span<const JobPhase> phases_;
  // Blocks of every phase and thread, a line for each, so that taking one disturbs nobody.
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  Range& RangeOf(size_t phase, int thread) {
    return ranges_[phase * static_cast<size_t>(threads_) + static_cast<size_t>(thread)];
  }
  std::vector<Range> ranges_;
  alignas(64) std::array<std::atomic<int64_t>, kMostPhases> done_{};  // blocks of every phase

  // Apart from each other, so that taking blocks does not disturb those who wait.
  alignas(64) std::atomic<uint32_t> announced_{0};   // jobs, and the end
  alignas(64) std::atomic<uint32_t> gate_{kClosed};  // workers inside, and kClosed
  std::atomic<int> series_{0};                       // scopes of JobSeries
  std::atomic<bool> stopping_{false};
};

struct Registry {
  std::mutex mutex;
  std::map<int, std::weak_ptr<Team>> teams;
};

// Never destroyed: exit must not wait for a run, nor free what workers still use.
Registry& TheRegistry() {
  static auto* registry = new Registry;
  return *registry;
}

// Once per process. Node unloads an addon with the last environment that loaded it; where something
// keeps a team alive longer than that, its workers must not find their code gone.
void Prepare() {
  pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&Prepare), &self) != 0 && self.dli_fname != nullptr) {
    (void)dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

}  // namespace

std::shared_ptr<ThreadTeam> AcquireThreadTeam(int threads) {
  const int count = std::clamp(threads <= 0 ? UsableThreads() : threads, 1, kMaxThreads);
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  static const bool prepared = (Prepare(), true);
  (void)prepared;
  std::weak_ptr<Team>& place = registry.teams[count];
  std::shared_ptr<Team> team = place.lock();
  if (team == nullptr || team->Forked()) {
    team = std::make_shared<Team>(count);
    place = team;
  }
  return team;
}

}  // namespace irodori
