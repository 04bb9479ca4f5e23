#include "comm/host_place.h"

#include <unistd.h>

#include <fstream>
#include <string>

namespace vortex::comm {
namespace {

/// The kernel that runs, and the name of the container in it: containers of one machine see their own GPUs.
size_t host_number() {
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return std::hash<std::string>()(boot + name);
}

}  // namespace

Result<HostPlace> host_place(Communicator& ranks) {
  const size_t own = host_number();
  std::vector<size_t> hosts(static_cast<size_t>(ranks.size()));
  const std::vector<int64_t> bytes(hosts.size(), sizeof own);
  VORTEX_RETURN_IF_ERROR(
      ranks.all_gather(std::as_bytes(std::span(&own, 1)), bytes, reinterpret_cast<std::byte*>(hosts.data())));
  HostPlace place{.index = 0, .ranks = 0};
  for (int rank = 0; rank < ranks.size(); ++rank) {
    if (hosts[static_cast<size_t>(rank)] != own) continue;
    if (rank < ranks.rank()) ++place.index;
    ++place.ranks;
  }
  return place;
}

}  // namespace vortex::comm
