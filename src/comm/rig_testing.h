// For tests: starts rank_rig.cc as processes, and reads what the ranks write.
#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace vortex::comm::testing {

using Clock = std::chrono::steady_clock;

/// Of this program; what others leave there at the same time is theirs.
inline std::set<std::string> shared_memory_names() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
    if (const std::string name = entry.path().filename(); name.find("vortex") != std::string::npos) names.insert(name);
  return names;
}

class Rig {
 public:
  /// `size` ranks that start each other.
  Rig(int size, std::chrono::milliseconds timeout, const std::string& scenario, int victim = -1)
      : Rig(size, size, timeout, scenario, victim, {}) {}

  /// `launcher` goes before the program and makes `size` ranks of it, which ask for `wanted`.
  Rig(int wanted, int size, std::chrono::milliseconds timeout, const std::string& scenario, int victim,
      std::vector<std::string> launcher)
      : size_(size), names_before_(shared_memory_names()) {
    // Who loses its parent becomes ours, so that none is left unseen.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    char folder[] = "/tmp/vortex-ranks-XXXXXX";
    folder_ = ::mkdtemp(folder);
    launcher.insert(launcher.end(), {VORTEX_RANK_RIG, std::to_string(wanted), folder_.string(),
                                     std::to_string(timeout.count()), scenario, std::to_string(victim)});
    start(launcher);
  }

  ~Rig() {
    for (int rank = 0; rank < size_; ++rank)
      if (const pid_t pid = pid_of(rank); pid > 0 && !ended_) ::kill(pid, SIGKILL);
    if (!ended_) {
      ::kill(process_, SIGKILL);
      wait_for_end();
    }
    std::filesystem::remove_all(folder_);
  }

  /// Of the process that the test started: its exit status, or 128 + signal.
  int wait_for_end() {
    int status = 0;
    ::waitpid(process_, &status, 0);
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::vector<std::string> lines_with(int rank, const std::string& text) const {
    std::vector<std::string> out;
    std::ifstream file(folder_ / fmt::format("rank-{}", rank));
    for (std::string line; std::getline(file, line);)
      if (line.find(text) != std::string::npos) out.push_back(line);
    return out;
  }

  std::string all_lines() const {
    std::string out;
    for (int rank = 0; rank < size_; ++rank)
      for (const std::string& line : lines_with(rank, "")) out += fmt::format("rank {}: {}\n", rank, line);
    return out;
  }

  bool wait_for_line(int rank, const std::string& text, std::chrono::milliseconds most) const {
    for (const auto end = Clock::now() + most; Clock::now() < end;) {
      if (!lines_with(rank, text).empty()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

  pid_t pid_of(int rank) const {
    const auto lines = lines_with(rank, "pid ");
    return lines.empty() ? -1 : std::stoi(lines[0].substr(4));
  }

  /// "error rank 1 NS: TEXT"
  Clock::time_point error_time(int rank) const {
    const std::string line = lines_with(rank, "error rank").at(0);
    return Clock::time_point(std::chrono::nanoseconds(std::stoll(line.substr(line.find(' ', 11)))));
  }

  /// No rank lives or waits to be reaped within 2 s, and no name is left in /dev/shm.
  void expect_nothing_left() {
    for (const auto end = Clock::now() + std::chrono::seconds(2); ranks_left() > 0 && Clock::now() < end;)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(ranks_left(), 0) << all_lines();
    EXPECT_EQ(shared_memory_names(), names_before_);
  }

 private:
  void start(std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    process_ = ::fork();
    if (process_ != 0) return;
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }

  /// A rank that lost its parent is ours to reap; one that its parent should have reaped is not.
  int ranks_left() const {
    int left = 0;
    for (int rank = 0; rank < size_; ++rank) {
      const pid_t pid = pid_of(rank);
      if (pid <= 0 || ::waitpid(pid, nullptr, WNOHANG) == pid) continue;
      left += ::kill(pid, 0) == 0;
    }
    return left;
  }

  const int size_;
  const std::set<std::string> names_before_;
  std::filesystem::path folder_;
  pid_t process_ = 0;
  bool ended_ = false;
};

}  // namespace vortex::comm::testing
