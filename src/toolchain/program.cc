#include "toolchain/program.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/files.h"

namespace vortex::toolchain {
namespace fs = std::filesystem;

namespace {

bool is_program(const fs::path& path) { return file_bytes(path) > 0 && ::access(path.c_str(), X_OK) == 0; }

}  // namespace

std::string environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::optional<fs::path> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return is_program(name) ? std::optional(fs::path(name)) : std::nullopt;
  for (const std::string& folder : split(environment_variable("PATH"), ':'))
    if (is_program(fs::path(folder) / name)) return fs::path(folder) / name;
  return std::nullopt;
}

std::string program_identity(const fs::path& program) {
  std::error_code failure;
  const fs::path real = fs::canonical(program, failure);
  struct stat info {};
  ::stat(real.c_str(), &info);
  return fmt::format("{} {} {}.{}", real.string(), info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace vortex::toolchain
