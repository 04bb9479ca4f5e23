#include "comm/children.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <mutex>
#include <optional>

#include "base/files.h"
#include "comm/quiet_thread.h"

namespace vortex::comm {
namespace {

using Clock = std::chrono::steady_clock;

/// What a child needs between fork and exec, where nothing may be allocated.
struct Launch {
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
  cpu_set_t processors;
  bool bound = false;
  int fd = -1;
  pid_t parent = 0;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

void prepare(Launch& launch, const std::vector<std::string>& arguments, const ChildPlan& plan, int fd) {
  launch.arguments = arguments;
  for (char** entry = environ; *entry != nullptr; ++entry) launch.environment.emplace_back(*entry);
  launch.environment.push_back(plan.variable);
  launch.argv = pointers(launch.arguments);
  launch.envp = pointers(launch.environment);
  CPU_ZERO(&launch.processors);
  for (const int cpu : plan.processors) CPU_SET(cpu, &launch.processors);
  launch.bound = !plan.processors.empty();
  launch.fd = fd;
  launch.parent = ::getpid();
}

void set_signals() {
  for (const int ignored : {SIGINT, SIGTERM, SIGHUP}) ::signal(ignored, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// In the child: calls that are safe after fork only.
[[noreturn]] void become_rank(const Launch& launch) {
  constexpr int kCannotRun = 127;
  // Whose parent has died already would wait for its death for ever.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != launch.parent) ::_exit(kCannotRun);
  set_signals();
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  // What is printed belongs to rank 0.
  if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) ::_exit(kCannotRun);
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  ::fcntl(launch.fd, F_SETFD, 0);
  if (launch.bound) ::sched_setaffinity(0, sizeof launch.processors, &launch.processors);
  ::execve("/proc/self/exe", launch.argv.data(), launch.envp.data());
  ::_exit(kCannotRun);
}

struct Child {
  int rank = 0;
  pid_t pid = 0;
  UniqueFd alive;  // readable once it has ended
};

Result<Child> start_child(const std::vector<std::string>& arguments, const ChildPlan& plan, int fd) {
  Launch launch;
  prepare(launch, arguments, plan, fd);
  const pid_t pid = ::fork();
  if (pid == 0) become_rank(launch);
  if (pid < 0) return file_error(fmt::format("rank {}", plan.rank), "cannot start", errno);
  Child child{plan.rank, pid, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)))};
  if (child.alive.get() >= 0) return child;
  const int failure = errno;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return file_error(fmt::format("rank {}", plan.rank), "cannot watch", failure);
}

/// Children are forked by the thread that watches them: they are killed when the thread that forked them ends.
class WatchedChildren : public Children {
 public:
  WatchedChildren(UniqueFd wake, const std::vector<std::string>& arguments, const std::vector<ChildPlan>& plans, int fd,
                  ChildEnded ended)
      : wake_(std::move(wake)), ended_(std::move(ended)) {
    std::promise<Status> started;
    auto status = started.get_future();
    watcher_ = quiet_thread([&, this] {
      started.set_value(start_all(arguments, plans, fd));
      watch();
    });
    status_ = status.get();
  }

  ~WatchedChildren() override {
    if (watcher_.joinable()) WatchedChildren::stop(std::chrono::milliseconds(0));
  }

  const Status& status() const { return status_; }

  void stop(std::chrono::milliseconds grace) override {
    {
      const std::lock_guard lock(mutex_);
      deadline_ = Clock::now() + grace;
    }
    const uint64_t one = 1;
    VORTEX_CHECK(::write(wake_.get(), &one, sizeof one) == sizeof one, "no eventfd");
    watcher_.join();
  }

 private:
  Status start_all(const std::vector<std::string>& arguments, const std::vector<ChildPlan>& plans, int fd) {
    for (const ChildPlan& plan : plans) {
      auto child = start_child(arguments, plan, fd);
      if (!child.ok()) return child.error();
      children_.push_back(std::move(*child));
    }
    return {};
  }

  void watch() {
    while (true) {
      const auto deadline = stop_time();
      if (deadline && (children_.empty() || Clock::now() >= *deadline)) break;
      wait_for_news(deadline);
      reap();
    }
    for (const Child& child : children_) {
      ::kill(child.pid, SIGKILL);
      ::waitpid(child.pid, nullptr, 0);
    }
  }

  std::optional<Clock::time_point> stop_time() {
    const std::lock_guard lock(mutex_);
    return deadline_;
  }

  void wait_for_news(const std::optional<Clock::time_point>& deadline) {
    std::vector<pollfd> news;
    // Once it was read, the wish to stop is known.
    if (!deadline) news.push_back({wake_.get(), POLLIN, 0});
    for (const Child& child : children_) news.push_back({child.alive.get(), POLLIN, 0});
    const int most_ms =
        deadline ? static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count())
                 : -1;
    ::poll(news.data(), news.size(), deadline ? std::max(most_ms, 0) : -1);
  }

  void reap() {
    std::erase_if(children_, [&](const Child& child) {
      int status = 0;
      const pid_t ended = ::waitpid(child.pid, &status, WNOHANG);
      // Somebody else may have reaped it, or nobody has to where SIGCHLD is ignored: then there is no status.
      if (ended == 0 || (ended < 0 && errno != ECHILD)) return false;
      ended_(child.rank, status);
      return true;
    });
  }

  const UniqueFd wake_;
  const ChildEnded ended_;
  std::mutex mutex_;
  std::optional<Clock::time_point> deadline_;
  std::vector<Child> children_;  // of the watching thread
  Status status_;
  std::thread watcher_;
};

}  // namespace

Result<std::unique_ptr<Children>> Children::start(const std::vector<std::string>& arguments,
                                                  const std::vector<ChildPlan>& plans, int inherited_fd,
                                                  ChildEnded ended) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC));
  if (wake.get() < 0) return file_error("ranks", "cannot watch", errno);
  auto children = std::make_unique<WatchedChildren>(std::move(wake), arguments, plans, inherited_fd, std::move(ended));
  if (!children->status().ok()) return children->status().error();
  return std::unique_ptr<Children>(std::move(children));
}

}  // namespace vortex::comm
