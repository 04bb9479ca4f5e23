// For tests: a private folder, a compiler that counts its runs, variables that are put back.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace vortex::toolchain {

class ToolchainTest : public ::testing::Test {
 protected:
  ToolchainTest() {
    std::string name = std::filesystem::temp_directory_path() / "vortex-toolchain-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~ToolchainTest() override {
    for (const auto& [name, value] : saved_)
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    std::filesystem::remove_all(folder_);
  }

  void set_variable(const std::string& name, const std::string& value) {
    const char* old = std::getenv(name.c_str());
    saved_.emplace_back(name, old == nullptr ? std::nullopt : std::optional<std::string>(old));
    ::setenv(name.c_str(), value.c_str(), 1);
  }

  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  static std::string read(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  /// Puts a compiler into CXX that adds a line to a log each time it runs.
  void count_compiler_runs() {
    const auto wrapper =
        write("counting-c++", "#!/bin/sh\necho run >> " + (folder_ / "runs").string() + "\nexec c++ \"$@\"\n");
    std::filesystem::permissions(wrapper, std::filesystem::perms::owner_all);
    set_variable("CXX", wrapper.string());
  }
  int compiler_runs() const {
    const std::string log = read(folder_ / "runs");
    return static_cast<int>(std::count(log.begin(), log.end(), '\n'));
  }

  std::filesystem::path folder_;

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> saved_;
};

}  // namespace vortex::toolchain
