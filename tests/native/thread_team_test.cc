// The thread team: every block once, callers in turn, nesting, forks, quotas.
#include "native/core/thread_team.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "native/core/usable_memory.h"
#include "native/core/usable_threads.h"
#include "tests/native/check.h"

namespace irodori::test {
namespace {

struct Count {
  std::vector<std::atomic<int>> blocks;
  std::atomic<int> wrong_threads{0};
  int threads;
  Count(size_t size, int team) : blocks(size), threads(team) {}
  static void Body(void* context, int64_t block, int thread) {
    auto& count = *static_cast<Count*>(context);
    count.blocks[static_cast<size_t>(block)].fetch_add(1);
    if (thread < 0 || thread >= count.threads) count.wrong_threads.fetch_add(1);
  }
  bool EachOnce() const {
    for (const auto& block : blocks) {
      if (block.load() != 1) return false;
    }
    return wrong_threads.load() == 0;
  }
};

TEST(ThreadTeamRunsEveryBlockOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    const std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(threads);
    CHECK(team->threads() == threads);
    for (int job = 0; job < 500; ++job) {
      Count count(static_cast<size_t>(job % 37), threads);
      team->ParallelFor(static_cast<int64_t>(count.blocks.size()), Count::Body, &count);
      CHECK(count.EachOnce());
    }
  }
}

TEST(ThreadTeamSleepsAndWakes) {
  const std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(3);
  const auto jobs_after = [&](std::chrono::microseconds pause) {
    for (int job = 0; job < 50; ++job) {
      std::this_thread::sleep_for(pause);
      Count count(64, 3);
      team->ParallelFor(64, Count::Body, &count);
      CHECK(count.EachOnce());
    }
  };
  jobs_after(std::chrono::milliseconds(1));  // longer than workers spin
  const JobSeries series(*team);
  jobs_after(std::chrono::microseconds(100));  // shorter, in a series
  jobs_after(std::chrono::milliseconds(1));
}

// No block of a phase before all of the phase before; none twice, whoever takes it.
TEST(ThreadTeamRunsPhases) {
  for (const int threads : {1, 2, 5}) {
    const std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(threads);
    struct Phase {
      std::vector<int64_t>* before;  // blocks that the phase before has written
      std::vector<int64_t> written;
      std::atomic<int> wrong{0};
    };
    for (int job = 0; job < 300; ++job) {
      std::array<Phase, kMostPhases> phases;
      std::array<JobPhase, kMostPhases> all;
      const std::array<size_t, kMostPhases> blocks = {job % 7u, job % 3u * 40u, 1u + job % 50u};
      for (size_t i = 0; i < phases.size(); ++i) {
        phases[i].before = i > 0 ? &phases[i - 1].written : nullptr;
        phases[i].written.assign(blocks[i], 0);
        all[i] = {static_cast<int64_t>(blocks[i]),
                  [](void* context, int64_t block, int) {
                    auto& phase = *static_cast<Phase*>(context);
                    if (phase.before != nullptr) {
                      for (const int64_t value : *phase.before) phase.wrong += value != 1;
                    }
                    ++phase.written[static_cast<size_t>(block)];
                  },
                  &phases[i]};
      }
      team->RunPhases(all);
      for (const Phase& phase : phases) {
        CHECK(phase.wrong.load() == 0);
        CHECK(std::ranges::all_of(phase.written, [](int64_t count) { return count == 1; }));
      }
    }
  }
}

TEST(ThreadTeamServesSeveralCallers) {
  const std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(2);
  std::atomic<int> inside{0};
  std::atomic<int> overlaps{0};
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int job = 0; job < 200; ++job) {
        struct Context {
          std::atomic<int>& inside;
          std::atomic<int>& overlaps;
          std::atomic<int> blocks{0};
        } context{inside, overlaps};
        team->ParallelFor(
            5,
            [](void* argument, int64_t, int thread) {
              auto& c = *static_cast<Context*>(argument);
              // Two jobs at a time would show as two threads 0.
              if (thread == 0 && c.inside.fetch_add(1) != 0) c.overlaps.fetch_add(1);
              c.blocks.fetch_add(1);
              if (thread == 0) c.inside.fetch_sub(1);
            },
            &context);
        if (context.blocks.load() != 5) wrong.fetch_add(1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(overlaps.load() == 0);
  CHECK(wrong.load() == 0);
}

TEST(ThreadTeamNests) {
  const std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(2);
  struct Context {
    ThreadTeam& team;
    std::atomic<int> inner{0};
    std::atomic<int> moved{0};
    int thread = 0;
  } context{*team};
  team->ParallelFor(
      6,
      [](void* argument, int64_t, int thread) {
        struct Inner {
          Context& outer;
          int thread;
        } inner{*static_cast<Context*>(argument), thread};
        inner.outer.team.ParallelFor(
            7,
            [](void* nested, int64_t, int on) {
              auto& i = *static_cast<Inner*>(nested);
              i.outer.inner.fetch_add(1);
              if (on != i.thread) i.outer.moved.fetch_add(1);
            },
            &inner);
      },
      &context);
  CHECK(context.inner.load() == 42);
  CHECK(context.moved.load() == 0);
}

TEST(ThreadTeamIsSharedAndEnds) {
  const auto threads_now = [] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
      count += entry.exists() ? 1 : 0;
    return count;
  };
  const int before = threads_now();
  std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(5);
  CHECK(AcquireThreadTeam(5) == team);
  CHECK(threads_now() == before + 4);
  team.reset();
  // The kernel takes a joined thread out of the list a moment later.
  for (int i = 0; i < 1000 && threads_now() != before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(threads_now() == before);
}

#if !defined(__SANITIZE_THREAD__)  // that sanitizer does not follow threads into children
TEST(ThreadTeamAfterFork) {
  const std::shared_ptr<ThreadTeam> team = AcquireThreadTeam(3);
  std::fflush(nullptr);  // or the child would print it again
  const pid_t child = fork();
  if (child == 0) {
    bool right = true;
    for (const auto& each : {team, AcquireThreadTeam(3), AcquireThreadTeam(2)}) {
      Count count(16, 3);
      each->ParallelFor(16, Count::Body, &count);
      right = right && count.EachOnce();
    }
    _exit(right ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(ThreadTeamExitMidRun) {
  std::fflush(nullptr);  // or the child would print it again
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a hang must show as a signal
    // Leaked, as whoever runs jobs at exit leaves it; static destructors run beside the job.
    static auto* team = new std::shared_ptr<ThreadTeam>(AcquireThreadTeam(4));
    std::thread caller([] {
      for (;;)
        (*team)->ParallelFor(
            100, [](void*, int64_t, int) { usleep(100); }, nullptr);
    });
    caller.detach();
    usleep(20'000);
    std::exit(7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}
#endif

// What is mounted at /sys/fs/cgroup elsewhere; removed with the test.
class Cgroups {
 public:
  Cgroups()
      : root_(std::filesystem::temp_directory_path() / Message("irodori_cgroup_", getpid())) {}
  ~Cgroups() { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::string root() const { return root_.string(); }

 private:
  std::filesystem::path root_;
};

TEST(UsableThreadsReadsQuotas) {
  const Cgroups made;
  const auto write = [&](const std::string& path, const std::string& text) {
    made.Write(path, text);
  };
  const auto quota = [&](std::string_view cgroups) { return CgroupCpuQuota(cgroups, made.root()); };
  write("cpu.max", "max 100000\n");
  write("a/cpu.max", "250000 100000\n");
  write("a/b/cpu.max", "800000 100000\n");
  write("cpu,cpuacct/c/cpu.cfs_quota_us", "50000\n");
  write("cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
  write("cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  CHECK(quota("0::/\n") == 0);
  CHECK(quota("0::/a\n") == 2.5);
  CHECK(quota("0::/a/b\n") == 2.5);            // the tighter one above counts
  CHECK(quota("0::/a/b/not-there\n") == 2.5);  // as in a container
  CHECK(quota("4:memory:/a\n3:cpu,cpuacct:/c\n") == 0.5);
  CHECK(quota("3:cpu,cpuacct:/\n") == 0);
  CHECK(quota("") == 0);
  CHECK(quota("nonsense\n::\n") == 0);
  CHECK(UsableThreads() >= 1);
}

TEST(UsableMemoryReadsLimits) {
  const Cgroups made;
  const auto limit = [&](std::string_view cgroups) {
    return CgroupMemoryLimit(cgroups, made.root());
  };
  made.Write("memory.max", "max\n");
  made.Write("a/memory.max", "1073741824\n");
  made.Write("a/b/memory.max", "8589934592\n");
  made.Write("a/c/memory.max", "65536\n");
  made.Write("memory/d/memory.limit_in_bytes", "2147483648\n");
  made.Write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(limit("0::/\n") == 0);
  CHECK(limit("0::/a\n") == int64_t{1} << 30);
  CHECK(limit("0::/a/b\n") == int64_t{1} << 30);  // the tighter one above counts
  CHECK(limit("0::/a/b/not-there\n") == int64_t{1} << 30);
  CHECK(limit("0::/a/c\n") == 65536);
  CHECK(limit("5:memory:/d\n4:cpu:/a\n") == int64_t{2} << 30);
  CHECK(limit("5:memory:/\n") == 0);
  CHECK(limit("1:name=systemd:/a\n") == 0);
  CHECK(limit("") == 0);
  CHECK(UsableMemoryBytes() > 0);
}

}  // namespace
}  // namespace irodori::test
