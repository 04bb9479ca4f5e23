// Time of an all-reduce between processes, by size. Prints one JSON object.
//
//   all_reduce_bench RANKS                            starts them itself
//   mpirun -n RANKS all_reduce_bench                  VORTEX_COMM=mpi: through MPI
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "comm/launch.h"

namespace vortex::comm {
namespace {

using Clock = std::chrono::steady_clock;

/// Small whole numbers: float32 adds them without rounding, so the sum is known.
float value_of(int rank, size_t i) { return static_cast<float>(i % 1000 + 7 * rank); }

/// Whether the sum of all ranks is right in every place.
bool verify(Communicator& comm, size_t size) {
  std::vector<float> data(size);
  for (size_t i = 0; i < size; ++i) data[i] = value_of(comm.rank(), i);
  if (!comm.all_reduce_sum(data).ok()) return false;
  for (size_t i = 0; i < size; ++i) {
    float sum = 0;
    for (int rank = 0; rank < comm.size(); ++rank) sum += value_of(rank, i);
    if (data[i] != sum) return false;
  }
  return true;
}

struct Times {
  double median_us = 0;
  double p99_us = 0;
};

/// Of calls one after another; the ranks start each together, because the one before ended so.
Times measure(Communicator& comm, size_t size) {
  const int rounds = static_cast<int>(std::clamp<size_t>((64 << 20) / size, 100, 5000));
  std::vector<float> data(size, 0.0F);
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    const auto begin = Clock::now();
    if (!comm.all_reduce_sum(data).ok()) std::exit(1);
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  std::ranges::sort(times);
  return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

int run(Group& group) {
  Communicator& comm = group.communicator();
  std::string rows;
  for (size_t bytes = 4 << 10; bytes <= 16 << 20; bytes *= 2) {
    const size_t size = bytes / sizeof(float);
    if (!verify(comm, size)) {
      fmt::print(stderr, "rank {}: a wrong sum of {} bytes\n", comm.rank(), bytes);
      return 1;
    }
    const Times times = measure(comm, size);
    rows += fmt::format(R"({}{{"bytes": {}, "median_us": {:.1f}, "p99_us": {:.1f}}})", rows.empty() ? "" : ",\n  ",
                        bytes, times.median_us, times.p99_us);
  }
  if (comm.rank() == 0)
    fmt::print("{{\"ranks\": {}, \"transport\": \"{}\", \"all_reduce\": [\n  {}\n]}}\n", comm.size(), group.transport(),
               rows);
  return 0;
}

}  // namespace
}  // namespace vortex::comm

int main(int argc, char** argv) {
  const int ranks = argc > 1 ? std::atoi(argv[1]) : 0;
  const auto group = vortex::comm::join({.size = ranks, .arguments = {argv, argv + argc}});
  if (group.ok()) return vortex::comm::run(**group);
  fmt::print(stderr, "all_reduce_bench: {}\n", group.error().to_string());
  return vortex::exit_status(group.error().code);
}
