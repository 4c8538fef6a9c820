// One environment's jobs: submitted, settled, and ended with the environment.
#include "native/addon/environment.h"

#include <algorithm>
#include <cstdlib>
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

// Changes smaller than these wait for more.
constexpr int64_t kSmallestReport = int64_t{8} << 20;
constexpr int64_t kSmallestWeights = int64_t{128} << 20;

}  // namespace

void AdjustExternal(napi_env env, ResourceKind kind, int64_t delta_bytes) {
  Result<Environment*> environment = Environment::Of(env);
  if (environment.ok()) environment.value()->Account(kind, delta_bytes);
}

// V8 collects all garbage each time it is told of another 64 MB or so: a model of 4 GB, told pack
// by pack, cost 65 collections and a sixth of its loading. Weights stay, mostly, so that V8 is told
// when they have doubled; what may be garbage soon is told at once.
void Environment::Account(ResourceKind kind, int64_t delta_bytes) {
  const bool weights = kind == ResourceKind::kPack;
  ExternalBytes& bytes = weights ? weights_ : others_;
  bytes.owed += delta_bytes;
  const int64_t step = weights ? std::max(kSmallestWeights, bytes.known) : kSmallestReport;
  if (std::abs(bytes.owed) < step) return;
  int64_t total = 0;
  // Advice to the collector: nothing depends on whether it was taken.
  (void)napi_adjust_external_memory(env_, bytes.owed, &total);
  bytes.known += bytes.owed;
  bytes.owed = 0;
}

Result<Environment*> Environment::Open(napi_env env) {
  auto self = std::unique_ptr<Environment>(new Environment(env));
  self->loader_ = AcquireLoader();
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
  Job* lent = job.get();
  JobList place{lent};
  job->thread_ = &thread;
  job->cancel_ = std::move(cancel);
  job->mailbox_ = mailbox_;
  jobs_.emplace(lent, std::move(job));
  napi_status status = napi_ok;
  if (held != nullptr) status = napi_create_reference(env_, held, 1, &lent->held_);
  if (status == napi_ok) status = napi_create_promise(env_, &lent->deferred_, &promise);
  if (status != napi_ok) {
    if (lent->held_ != nullptr) (void)napi_delete_reference(env_, lent->held_);
    jobs_.erase(lent);
    return FailedCall("a promise of a job", status);
  }
  // From here on the promise settles, whatever happens.
  if (jobs_.size() == 1) (void)napi_ref_threadsafe_function(env_, wake_);
  if (Status pushed = Guarded([&] { return thread.Push(place); }); !pushed.ok()) {
    lent->outcome_ = std::move(pushed);
    mailbox_->Deliver(std::move(place));
  }
  return promise;
}

void Environment::Abort(const std::shared_ptr<Cancel>& cancel) {
  cancel->requested = true;
  for (auto& [job_of_cancel, owner] : jobs_) {
    if (job_of_cancel->cancel_ != cancel) continue;
    JobList waiting = job_of_cancel->thread_->TakeQueued(mailbox_.get(), cancel.get());
    for (Job* job : waiting) job->outcome_ = Status(Code::kAborted, "aborted");
    mailbox_->Deliver(std::move(waiting));
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
  napi_value value = nullptr;
  Status outcome = std::move(job->outcome_);
  if (outcome.ok()) {
    outcome = Guarded([&]() -> Status {
      IRODORI_ASSIGN(value, job->Finish(*this));
      return Status::Ok();
    });
  }
  // What follows fails only where JavaScript can no longer run, and nobody waits for the promise.
  if (outcome.ok()) {
    (void)napi_resolve_deferred(env_, job->deferred_, value);
    return;
  }
  const Result<napi_value> error = Guarded([&] { return MakeError(env_, outcome); });
  if (error.ok()) (void)napi_reject_deferred(env_, job->deferred_, error.value());
}

// Worker terminated, process.exit() in a worker, or the main thread's event loop ran dry. Bounded
// by how often kernels look at their abort flag.
void Environment::OnCleanup(void* data) {
  auto* self = static_cast<Environment*>(data);
  self->mailbox_->Close();
  for (auto& [job, owner] : self->jobs_) job->cancel_->requested = true;
  for (auto& [job, owner] : self->jobs_) {
    (void)job->thread_->TakeQueued(self->mailbox_.get(), nullptr);
    job->thread_->WaitForRunning(self->mailbox_.get());
  }
  for (auto& [job, owner] : self->jobs_) {
    if (job->held_ != nullptr) (void)napi_delete_reference(self->env_, job->held_);
  }
  self->jobs_.clear();
  (void)napi_release_threadsafe_function(self->wake_, napi_tsfn_abort);
  self->loader_.reset();
}

void Environment::OnInstanceEnd(napi_env /*env*/, void* self, void* /*hint*/) {
  delete static_cast<Environment*>(self);
}

}  // namespace irodori::addon
