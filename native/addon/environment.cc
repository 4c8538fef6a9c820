// One environment's jobs: submitted, settled, and ended with the environment.
#include "native/addon/environment.h"

#include <utility>

namespace irodori::addon {
namespace {

// Frees N-API's temporary values of one settled promise.
class HandleScope {
 public:
  explicit HandleScope(napi_env env) : env_(env) {
    if (napi_open_handle_scope(env_, &scope_) != napi_ok) scope_ = nullptr;
  }
  ~HandleScope() {
    if (scope_ != nullptr) (void)napi_close_handle_scope(env_, scope_);
  }
  HandleScope(const HandleScope&) = delete;
  HandleScope& operator=(const HandleScope&) = delete;

 private:
  napi_env env_;
  napi_handle_scope scope_ = nullptr;
};

}  // namespace

void AdjustExternal(napi_env env, int64_t delta_bytes) {
  int64_t total = 0;
  // Advice to the collector: nothing depends on whether it was taken.
  if (delta_bytes != 0) (void)napi_adjust_external_memory(env, delta_bytes, &total);
}

Result<Environment*> Environment::Open(napi_env env) {
  auto self = std::unique_ptr<Environment>(new Environment(env));
  self->threads_ = AcquireJobThreads();
  IRODORI_ASSIGN(napi_value name, MakeString(env, "irodori"));
  IRODORI_NAPI(napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                               self.get(), OnWake, &self->wake_));
  self->mailbox_ = std::make_shared<Mailbox>(self->wake_);
  // An idle environment does not keep Node alive.
  IRODORI_NAPI(napi_unref_threadsafe_function(env, self->wake_));
  IRODORI_NAPI(napi_set_instance_data(env, self.get(), OnInstanceEnd, nullptr));
  Environment* opened = self.release();
  // Hooks run last added first: this one before that of the thread-safe function, which must
  // outlive our use of it.
  IRODORI_NAPI(napi_add_env_cleanup_hook(env, OnCleanup, opened));
  return opened;
}

Result<Environment*> Environment::Of(napi_env env) {
  void* data = nullptr;
  IRODORI_NAPI(napi_get_instance_data(env, &data));
  if (data == nullptr) return Status(Code::kInternal, "expected an environment, got none");
  return static_cast<Environment*>(data);
}

Result<napi_value> Environment::Submit(JobThread& thread, std::unique_ptr<Job> job,
                                       std::shared_ptr<Cancel> cancel, napi_value held) {
  napi_value promise;
  job->cancel_ = std::move(cancel);
  job->mailbox_ = mailbox_;
  if (held != nullptr) IRODORI_NAPI(napi_create_reference(env_, held, 1, &job->held_));
  if (napi_status status = napi_create_promise(env_, &job->deferred_, &promise);
      status != napi_ok) {
    if (job->held_ != nullptr) (void)napi_delete_reference(env_, job->held_);
    return FailedCall("napi_create_promise", status);
  }
  if (jobs_.empty()) (void)napi_ref_threadsafe_function(env_, wake_);
  Job* lent = job.get();
  jobs_.emplace(lent, std::move(job));
  if (Status status = thread.Push(lent); !status.ok()) {
    lent->outcome_ = std::move(status);
    mailbox_->Deliver(lent);
  }
  return promise;
}

void Environment::Abort(const std::shared_ptr<Cancel>& cancel) {
  cancel->requested = true;
  for (JobThread* thread : {&threads_->runner, &threads_->loader}) {
    for (Job* job : thread->TakeQueued(mailbox_.get(), cancel.get())) {
      job->outcome_ = Status(Code::kAborted, "aborted while it waited");
      mailbox_->Deliver(job);
    }
  }
}

void Environment::OnWake(napi_env env, napi_value /*callback*/, void* self, void* /*data*/) {
  if (env == nullptr) return;  // the environment is ending
  static_cast<Environment*>(self)->SettleDone();
}

void Environment::SettleDone() {
  for (Job* job : mailbox_->TakeDone()) Settle(job);
}

void Environment::Settle(Job* job) {
  HandleScope scope(env_);
  auto node = jobs_.extract(job);
  if (node.empty()) return;
  if (jobs_.empty()) (void)napi_unref_threadsafe_function(env_, wake_);
  if (job->held_ != nullptr) (void)napi_delete_reference(env_, job->held_);
  Status outcome = std::move(job->outcome_);
  if (outcome.ok()) {
    Result<napi_value> value = job->Finish(*this);
    if (value.ok()) {
      // Fails only where JavaScript can no longer run, and nobody waits for the promise.
      (void)napi_resolve_deferred(env_, job->deferred_, value.value());
      return;
    }
    outcome = value.status();
  }
  Result<napi_value> error = MakeError(env_, outcome);
  if (error.ok()) (void)napi_reject_deferred(env_, job->deferred_, error.value());
}

// Worker terminated, process.exit() in a worker, or the main thread's event loop ran dry. Bounded
// by how often kernels look at their abort flag.
void Environment::OnCleanup(void* data) {
  auto* self = static_cast<Environment*>(data);
  self->mailbox_->Close();
  for (auto& [job, owner] : self->jobs_) job->cancel_->requested = true;
  for (JobThread* thread : {&self->threads_->runner, &self->threads_->loader}) {
    (void)thread->TakeQueued(self->mailbox_.get(), nullptr);
    thread->WaitForRunning(self->mailbox_.get());
  }
  for (auto& [job, owner] : self->jobs_) {
    if (job->held_ != nullptr) (void)napi_delete_reference(self->env_, job->held_);
  }
  self->jobs_.clear();
  (void)napi_release_threadsafe_function(self->wake_, napi_tsfn_abort);
  self->threads_.reset();
}

void Environment::OnInstanceEnd(napi_env /*env*/, void* self, void* /*hint*/) {
  delete static_cast<Environment*>(self);
}

}  // namespace irodori::addon
