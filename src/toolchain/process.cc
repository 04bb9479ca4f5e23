#include "toolchain/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/files.h"

namespace vortex::toolchain {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// Messages are read by compiler_errors.h, so they must not be translated.
std::vector<std::string> english_environment() {
  std::vector<std::string> out = {"LC_ALL=C"};
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with("LC_ALL=")) out.emplace_back(*entry);
  return out;
}

/// In a process group of its own, so that a compiler's own children end with it.
Result<pid_t> spawn(std::vector<std::string> arguments, int output) {
  std::vector<std::string> environment = english_environment();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  pid_t child = 0;
  const int failure = ::posix_spawn(&child, arguments[0].c_str(), &actions, &attributes, pointers(arguments).data(),
                                    pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return file_error(arguments[0], "cannot start", failure);
  return child;
}

/// What can be read now. A program that writes without end is heard, but not kept.
void drain(int fd, size_t most, std::string* out) {
  char buffer[16 << 10];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got <= 0) return;
    out->append(buffer, std::min(static_cast<size_t>(got), most - std::min(most, out->size())));
  }
}

int exit_status_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

/// The pipe may outlive the program (a daemon that it started), so its end is not waited for.
ProcessResult watch(pid_t child, int output, const ProcessLimits& limits) {
  constexpr int kPollMs = 20;
  ProcessResult result;
  const auto deadline = Clock::now() + limits.time;
  while (true) {
    pollfd readable{output, POLLIN, 0};
    ::poll(&readable, 1, kPollMs);
    // A closed pipe is readable at once: without a pause this would spin until the program ends.
    if ((readable.revents & POLLHUP) != 0) ::usleep(1000);
    drain(output, limits.output_bytes, &result.output);
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) {
      result.status = exit_status_of(status);
      drain(output, limits.output_bytes, &result.output);
      return result;
    }
    if (ended < 0 && errno != EINTR) {
      result.status = -1;
      return result;
    }
    if (result.timed_out || Clock::now() < deadline) continue;
    result.timed_out = true;
    ::kill(-child, SIGKILL);
  }
}

}  // namespace

Result<ProcessResult> run_process(std::vector<std::string> argv, const ProcessLimits& limits) {
  VORTEX_CHECK(!argv.empty(), "a process needs a program");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return file_error(argv[0], "cannot make a pipe", errno);
  const UniqueFd reading(ends[0]);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);  // our end only: the program expects to be able to write
  Result<pid_t> child = Error{};
  {
    const UniqueFd writing(ends[1]);
    child = spawn(std::move(argv), writing.get());
  }
  if (!child.ok()) return child.error();
  return watch(*child, reading.get(), limits);
}

}  // namespace vortex::toolchain
