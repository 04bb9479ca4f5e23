// A rank for tests, run as a process:  comm_rank_rig SIZE FOLDER TIMEOUT_MS SCENARIO [VICTIM]
// Each rank writes what happens to it into FOLDER/rank-N, a line an event: "pid P", "ready", "error WHERE NS: TEXT".
//
//   right         checks every operation against what it should give
//   all_reduce, all_gather, gather, broadcast
//                 the victim waits to be told, the others call the operation until it fails
//   idle          rank 0 waits to be told, the others wait for its broadcast
//   compute       all wait to be told
//   work          all call operations without pause until one fails
//   late          the victim never joins; the others wait for 1 s
//   deaf          as work, with SIGCHLD ignored
//   refuse        rank VICTIM takes the ranks' memory for that of another start
#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>

#include "comm/launch.h"

namespace vortex::comm {
namespace {

struct Plan {
  int size = 0;
  std::string folder;
  std::chrono::milliseconds timeout{0};
  std::string scenario;
  int victim = -1;
};

class Diary {
 public:
  Diary(const std::string& folder, int rank) : file_(std::fopen(fmt::format("{}/rank-{}", folder, rank).c_str(), "a")) {
    note(fmt::format("pid {}", ::getpid()));
  }
  void note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    fmt::print(file_, "{}\n", line);
    std::fflush(file_);
  }
  void note(const Error& error) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    note(fmt::format("error {} {}: {}", error.where, std::chrono::nanoseconds(now).count(), error.message));
  }

 private:
  std::FILE* const file_;
  std::mutex mutex_;
};

using Bytes = std::vector<std::byte>;

Status all_reduce(Communicator& comm) {
  std::vector<float> data(20'000, static_cast<float>(comm.rank()));
  return comm.all_reduce_sum(data);
}

Status all_gather(Communicator& comm) {
  const std::vector<int64_t> sizes(comm.size(), 1000);
  Bytes out(1000 * comm.size());
  return comm.all_gather(Bytes(1000), sizes, out.data());
}

Status gather(Communicator& comm) {
  const std::vector<int64_t> sizes(comm.size(), 1000);
  Bytes out(1000 * comm.size());
  return comm.gather(Bytes(1000), sizes, out.data());
}

Status broadcast(Communicator& comm) {
  Bytes message(comm.rank() == 0 ? 300'000 : 0);
  return comm.broadcast(&message);
}

Status work(Communicator& comm) {
  for (const auto operation : {all_reduce, all_gather, gather, broadcast})
    if (Status status = operation(comm); !status.ok()) return status;
  return {};
}

using OperationCall = Status (*)(Communicator&);

OperationCall operation_of(const std::string& scenario) {
  if (scenario == "all_reduce") return all_reduce;
  if (scenario == "all_gather") return all_gather;
  if (scenario == "gather") return gather;
  if (scenario == "broadcast" || scenario == "idle") return broadcast;
  return scenario == "work" || scenario == "deaf" ? work : nullptr;
}

/// Computes, so to speak, until a failure is told.
Error wait_to_be_told(Communicator& comm) {
  std::promise<Error> told;
  auto error = told.get_future();
  comm.on_failure([&](const Error& failure) { told.set_value(failure); });
  return error.get();
}

/// Whether each operation gives what it should.
bool right(Communicator& comm) {
  const int ranks = comm.size();
  for (const size_t size : {0, 1, 15, 16'384, 100'000, 3'000'000}) {
    std::vector<float> data(size);
    for (size_t i = 0; i < size; ++i) data[i] = static_cast<float>(i % 999 + comm.rank());
    if (!comm.all_reduce_sum(data).ok()) return false;
    for (size_t i = 0; i < size; ++i) {
      int sum = 0;
      for (int rank = 0; rank < ranks; ++rank) sum += static_cast<int>(i % 999) + rank;
      if (data[i] != static_cast<float>(sum)) return false;
    }

    std::vector<int64_t> sizes(ranks);
    Bytes expected;
    for (int rank = 0; rank < ranks; ++rank) {
      sizes[rank] = rank % 2 == 0 ? static_cast<int64_t>(size) : rank;
      expected.insert(expected.end(), sizes[rank], static_cast<std::byte>(rank + 1));
    }
    const Bytes part(sizes[comm.rank()], static_cast<std::byte>(comm.rank() + 1));
    Bytes out(expected.size());
    if (!comm.all_gather(part, sizes, out.data()).ok() || out != expected) return false;
    Bytes first(expected.size());
    if (!comm.gather(part, sizes, first.data()).ok() || (comm.rank() == 0 && first != expected)) return false;

    Bytes message(comm.rank() == 0 ? size : 3, std::byte{5});
    if (!comm.broadcast(&message).ok() || message != Bytes(size, std::byte{5})) return false;
  }
  return true;
}

int run(Group& group, const Plan& plan, Diary& diary) {
  Communicator& comm = group.communicator();
  diary.note(fmt::format("ready {} threads {}", group.transport(), group.threads()));
  if (plan.scenario == "right") {
    const bool fine = right(comm);
    diary.note(fine ? "right" : "wrong");
    return fine ? 0 : 1;
  }
  // The first round, before anybody fails, works.
  if (const Status status = work(comm); !status.ok()) {
    diary.note(fmt::format("the first round: {}", status.error().to_string()));
    return 3;
  }
  const OperationCall operation = operation_of(plan.scenario);
  const bool idle = plan.scenario == "idle";
  const bool waits =
      operation == nullptr || (idle && comm.rank() == 0) || (!idle && operation != work && comm.rank() == plan.victim);
  diary.note("begun");
  Status status = waits ? Status(wait_to_be_told(comm)) : Status();
  while (status.ok()) status = operation(comm);
  diary.note(status.error());
  return 1;
}

int run(int argc, char** argv) {
  if (argc < 5) return 2;
  Plan plan{std::atoi(argv[1]), argv[2], std::chrono::milliseconds(std::atoi(argv[3])), argv[4],
            argc > 5 ? std::atoi(argv[5]) : -1};
  const int rank = rank_of_environment();
  Diary diary(plan.folder, rank);
  if (plan.scenario == "refuse" && rank == plan.victim) {
    std::string place = std::getenv("VORTEX_RANK");
    place.back() = place.back() == '0' ? '1' : '0';
    ::setenv("VORTEX_RANK", place.c_str(), 1);
  }
  if (plan.scenario == "late" && rank == plan.victim) ::pause();
  if (plan.scenario == "deaf") ::signal(SIGCHLD, SIG_IGN);
  JoinOptions options{.size = plan.size, .arguments = {argv, argv + argc}, .timeout = plan.timeout};
  if (plan.scenario == "late") options.start_timeout = std::chrono::seconds(1);
  auto group = join(options);
  if (!group.ok()) {
    diary.note(group.error());
    return 4;
  }
  const int failed = run(**group, plan, diary);
  group->reset();
  diary.note("left");
  return failed;
}

}  // namespace
}  // namespace vortex::comm

int main(int argc, char** argv) { return vortex::comm::run(argc, argv); }
