#include "engine/schedule_policy.h"

#include <fmt/core.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/files.h"
#include "engine/policy_text.h"
#include "toolchain/host_compiler.h"
#include "toolchain/shared_library.h"

namespace vortex {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTrialPages = 32'767;
constexpr std::chrono::seconds kTrialTime{2};

/// A number that parent and child see.
class SharedCounter {
 public:
  SharedCounter()
      : memory_(::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {}
  ~SharedCounter() {
    if (ok()) ::munmap(memory_, sizeof(std::atomic<int>));
  }
  SharedCounter(const SharedCounter&) = delete;
  SharedCounter& operator=(const SharedCounter&) = delete;
  bool ok() const { return memory_ != MAP_FAILED; }
  std::atomic<int>& value() { return *static_cast<std::atomic<int>*>(memory_); }

 private:
  void* memory_;
};

/// In the child. Only calls that are safe after a fork of many threads.
[[noreturn]] void run_trial(const SchedulePolicy& policy, PolicyInput input, std::atomic<int>* reached) {
  ::close(STDERR_FILENO);  // the runtime's last words on an uncaught exception: the error says it better
  for (int signal : {SIGFPE, SIGSEGV, SIGBUS, SIGILL, SIGABRT}) ::signal(signal, SIG_DFL);
  for (int pages = 1; pages <= kTrialPages; ++pages) {
    reached->store(pages, std::memory_order_relaxed);
    input.cached_block_len = pages;
    policy(input);
  }
  ::_exit(0);
}

/// The child's wait status; nothing when it had to be stopped.
std::optional<int> wait_for_trial(pid_t child) {
  const auto deadline = Clock::now() + kTrialTime;
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) != child) {
    if (Clock::now() > deadline) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return std::nullopt;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return status;
}

Status try_policy(const SchedulePolicy& policy, const PolicyInput& input) {
  SharedCounter reached;
  if (!reached.ok()) return file_error(kPolicyName, "cannot map memory", errno);
  const pid_t child = ::fork();
  if (child < 0) return file_error(kPolicyName, "cannot start a trial of the policy", errno);
  if (child == 0) run_trial(policy, input, &reached.value());
  const std::optional<int> status = wait_for_trial(child);
  if (status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0) return {};
  const bool divided = status && WIFSIGNALED(*status) && WTERMSIG(*status) == SIGFPE;
  const std::string what = !status                ? "does not end"
                           : divided              ? "divides by zero"
                           : WIFSIGNALED(*status) ? fmt::format("crashes ({})", ::strsignal(WTERMSIG(*status)))
                                                  : "ends the program";
  return Error{ErrorCode::kConfiguration, kPolicyName,
               fmt::format("the policy {} for cached_block_len = {}", what, reached.value().load()), ""};
}

}  // namespace

Result<SchedulePolicy> SchedulePolicy::compile(const std::string& text, PolicyInput input,
                                               const std::optional<std::string>& cache_dir) {
  VORTEX_RETURN_IF_ERROR(check_policy_text(text));
  VORTEX_ASSIGN_OR_RETURN(const auto compiler, toolchain::HostCompiler::find());
  VORTEX_ASSIGN_OR_RETURN(const auto folder, toolchain::code_cache_folder(cache_dir));
  VORTEX_ASSIGN_OR_RETURN(const auto cache, toolchain::CodeCache::open(folder));
  // A body that falls off its end is undefined, not a budget; float32 must round as written, on every machine.
  VORTEX_ASSIGN_OR_RETURN(const auto library,
                          compiler.compile_text(policy_source(text), kPolicyName,
                                                {"-O2", "-Werror=return-type", "-ffp-contract=off"}, cache));
  VORTEX_ASSIGN_OR_RETURN(const auto opened, toolchain::SharedLibrary::open(library));
  const SchedulePolicy policy(opened.function<Function>("vortex_schedule_policy"));
  VORTEX_CHECK(policy.function_ != nullptr, "the compiled policy {} exports no function", library.string());
  VORTEX_RETURN_IF_ERROR(try_policy(policy, input));
  return policy;
}

}  // namespace vortex
