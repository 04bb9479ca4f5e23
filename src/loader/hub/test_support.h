// What the tests of this folder share: a scratch folder, files, and the mock hub of tests/hub as a child process.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/check.h"
#include "loader/hub/settings.h"

namespace vortex::hub {

inline constexpr const char* kMockCommit = "0123456789abcdef0123456789abcdef01234567";

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "vortex-hub-XXXXXX").string();
    VORTEX_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What mock_hub.py calls pattern().
inline std::string pattern(size_t size, unsigned seed) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<char>((7 * (i % 251) + seed) % 251);
  return out;
}

inline size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// Serves until destroyed; the child ends when its standard input does.
class MockHub {
 public:
  MockHub() {
    ::setenv("no_proxy", "127.0.0.1", 1);
    int in[2];
    int out[2];
    VORTEX_CHECK(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::string program = "python3";
    std::string script = std::string(VORTEX_SOURCE_DIR) + "/tests/hub/mock_hub.py";
    std::string log_path = (folder_.path() / "log").string();
    char* arguments[] = {program.data(), script.data(), log_path.data(), nullptr};
    VORTEX_CHECK(::posix_spawnp(&child_, "python3", &actions, nullptr, arguments, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    std::FILE* answer = ::fdopen(out[0], "r");
    VORTEX_CHECK(std::fscanf(answer, "%d %d", &port_, &cdn_port_) == 2, "the mock hub does not start");
    std::fclose(answer);
  }
  ~MockHub() {
    ::close(input_);
    ::waitpid(child_, nullptr, 0);
  }
  MockHub(const MockHub&) = delete;
  MockHub& operator=(const MockHub&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::string cdn_host() const { return "127.0.0.1:" + std::to_string(cdn_port_); }
  std::string log() const { return read_text(folder_.path() / "log"); }

  /// Settings that reach this hub only, with caches under `folder`.
  HubSettings settings(const std::filesystem::path& folder) const {
    HubSettings settings;
    settings.hf_cache = folder / "hf";
    settings.vortex_cache = folder / "vortex";
    settings.endpoint = url();
    settings.connect_timeout_s = 5;
    settings.stall_timeout_s = 2;
    settings.retry_delay_ms = 1;
    return settings;
  }

 private:
  TempFolder folder_;
  pid_t child_ = 0;
  int input_ = -1;
  int port_ = 0;
  int cdn_port_ = 0;
};

}  // namespace vortex::hub
