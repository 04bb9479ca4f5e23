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

// The process's cgroup v2 directory and its ancestors, innermost first: each may set a limit.
std::vector<std::string> cgroup_directories(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::string path;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) path = line.substr(3);
  }
  std::vector<std::string> directories;
  while (path.size() > 1) {
    directories.push_back(root + "/sys/fs/cgroup" + path);
    path.resize(path.rfind('/'));
  }
  directories.push_back(root + "/sys/fs/cgroup");
  return directories;
}

// "QUOTA PERIOD" in microseconds, or "max PERIOD".
std::optional<uint64_t> cores_of_cpu_max(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto quota = parse_number(line.substr(0, space));
  const auto period = parse_number(line.substr(space + 1));
  if (!quota || !period || *period == 0) return std::nullopt;
  return *quota / *period + (*quota % *period != 0 ? 1 : 0);
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
  uint64_t limit = 0;
  for (const std::string& directory : cgroup_directories(root)) {
    const auto cores = cores_of_cpu_max(first_line(directory + "/cpu.max"));
    if (cores) limit = limit == 0 ? *cores : std::min(limit, *cores);
  }
  return static_cast<int>(std::min<uint64_t>(limit, std::numeric_limits<int>::max()));
}

uint64_t memory_limit_bytes(const std::string& root) {
  std::optional<uint64_t> limit = available_memory(root);
  for (const std::string& directory : cgroup_directories(root)) {
    const auto bytes = parse_number(first_line(directory + "/memory.max"));
    if (bytes) limit = std::min(limit.value_or(*bytes), *bytes);
  }
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
