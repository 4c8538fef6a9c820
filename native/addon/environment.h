// The addon's state in one N-API environment (the main thread, or one worker): its pending jobs and
// its end.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "native/addon/checked.h"
#include "native/addon/job.h"
#include "native/addon/job_thread.h"
#include "native/addon/resource.h"

namespace irodori::addon {

// Tells V8 of native bytes that JS objects of a kind keep alive.
void AdjustExternal(napi_env env, ResourceKind kind, int64_t delta_bytes);

// Native bytes that JS objects keep alive, of which V8 is told in steps.
struct ExternalBytes {
  int64_t known = 0;  // what V8 was told
  int64_t owed = 0;   // what it was not told yet
};

class Environment {
 public:
  // Makes the state and hands it to the environment, which destroys it when it ends.
  static Result<Environment*> Open(napi_env env);
  static Result<Environment*> Of(napi_env env);
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  napi_env env() const { return env_; }
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  JobThread& loader() { return *loader_; }

  // Sends a job to a thread, the loader or one that the job keeps alive; the promise settles when
  // it is done. `held` (may be null) lives until then.
  Result<napi_value> Submit(JobThread& thread, std::unique_ptr<Job> job,
                            std::shared_ptr<Cancel> cancel, napi_value held = nullptr);

  // Native bytes that JS objects keep alive have changed.
  void Account(ResourceKind kind, int64_t delta_bytes);

  // Sets the flag; jobs of that flag that still wait leave their queue at once.
  void Abort(const std::shared_ptr<Cancel>& cancel);

 private:
  explicit Environment(napi_env env) : env_(env) {}
  static void OnWake(napi_env env, napi_value callback, void* self, void* data);
  static void OnCleanup(void* self);
  static void OnInstanceEnd(napi_env env, void* self, void* hint);
  void SettleDone();
  void Settle(Job* job);

  napi_env env_;
  ExternalBytes weights_, others_;
  napi_threadsafe_function wake_ = nullptr;
  std::shared_ptr<Mailbox> mailbox_;
  std::shared_ptr<JobThread> loader_;
  std::unordered_map<Job*, std::unique_ptr<Job>>
      jobs_;  // pending ones; while there are any, Node stays alive
};

}  // namespace irodori::addon
