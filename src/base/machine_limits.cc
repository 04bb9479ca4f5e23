// usable_threads and memory_limit_bytes of cpu_features.h.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <vector>

#include "base/cpu_features.h"

namespace vortex {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// Whether a line of /proc/self/cgroup, "ID:CONTROLLERS:PATH", is about `controller` ("" is version 2).
bool names_controller(std::string_view line, std::string_view controller) {
  if (controller.empty()) return line.starts_with("0::");
  const std::size_t first = line.find(':');
  if (first == std::string_view::npos) return false;
  const std::string list = "," + std::string(line.substr(first + 1, line.find(':', first + 1) - first - 1)) + ",";
  return list.find("," + std::string(controller) + ",") != std::string::npos;
}

// The process's directory of a version 1 controller, or of version 2 (""), and its ancestors, innermost first: each
// may set a limit.
std::vector<std::string> cgroup_directories(const std::string& root, const std::string& controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string path;
  for (std::string line; std::getline(file, line);) {
    if (names_controller(line, controller)) path = line.substr(line.rfind(':') + 1);
  }
  const std::string mount = root + "/sys/fs/cgroup" + (controller.empty() ? "" : "/" + controller);
  std::vector<std::string> directories;
  while (path.size() > 1) {
    directories.push_back(mount + path);
    path.resize(path.rfind('/'));
  }
  directories.push_back(mount);
  return directories;
}

std::optional<uint64_t> cores(std::optional<uint64_t> quota, std::optional<uint64_t> period) {
  if (!quota || !period || *period == 0) return std::nullopt;
  return *quota / *period + (*quota % *period != 0 ? 1 : 0);
}

// Version 2: "QUOTA PERIOD" in microseconds, or "max PERIOD".
std::optional<uint64_t> cores_of_cpu_max(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  return cores(parse_number(line.substr(0, space)), parse_number(line.substr(space + 1)));
}

// Version 1: two files; a quota of -1 is none.
std::optional<uint64_t> cores_of_cfs(const std::string& directory) {
  return cores(parse_number(first_line(directory + "/cpu.cfs_quota_us")),
               parse_number(first_line(directory + "/cpu.cfs_period_us")));
}

// Version 1 has a number for "no limit": the largest that pages can count.
std::optional<uint64_t> limit_of_v1(const std::string& directory) {
  constexpr uint64_t kNoLimit = uint64_t{1} << 60;
  const auto bytes = parse_number(first_line(directory + "/memory.limit_in_bytes"));
  return bytes && *bytes < kNoLimit ? bytes : std::nullopt;
}

// The least of what is known.
void lower(std::optional<uint64_t>& limit, std::optional<uint64_t> other) {
  if (other) limit = std::min(limit.value_or(*other), *other);
}

// The line is "MemAvailable:    7654321 kB".
std::optional<uint64_t> available_memory(const std::string& root) {
  constexpr std::string_view kKey = "MemAvailable:";
  std::ifstream file(root + "/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(kKey)) continue;
    const std::size_t digits = line.find_first_of("0123456789");
    if (digits == std::string::npos) return std::nullopt;
    const auto kib = parse_number(std::string_view(line).substr(digits));
    if (!kib || *kib > std::numeric_limits<uint64_t>::max() / 1024) return std::nullopt;
    return *kib * 1024;
  }
  return std::nullopt;
}

int affinity_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  // More processors than a cpu_set_t holds.
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

}  // namespace

namespace internal {

int cgroup_cpu_limit(const std::string& root) {
  std::optional<uint64_t> limit;
  for (const std::string& directory : cgroup_directories(root, "")) {
    lower(limit, cores_of_cpu_max(first_line(directory + "/cpu.max")));
  }
  for (const std::string& directory : cgroup_directories(root, "cpu")) lower(limit, cores_of_cfs(directory));
  return static_cast<int>(std::min<uint64_t>(limit.value_or(0), std::numeric_limits<int>::max()));
}

uint64_t memory_limit_bytes(const std::string& root) {
  std::optional<uint64_t> limit = available_memory(root);
  for (const std::string& directory : cgroup_directories(root, "")) {
    lower(limit, parse_number(first_line(directory + "/memory.max")));
  }
  for (const std::string& directory : cgroup_directories(root, "memory")) lower(limit, limit_of_v1(directory));
  return limit.value_or(0);
}

}  // namespace internal

int usable_threads() {
  const int affinity = std::max(affinity_count(), 1);
  const int quota = internal::cgroup_cpu_limit("");
  return quota == 0 ? affinity : std::min(affinity, quota);
}

uint64_t memory_limit_bytes() { return internal::memory_limit_bytes(""); }

}  // namespace vortex
