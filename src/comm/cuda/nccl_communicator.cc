// NCCL, from its start to its end. A rank that fails leaves the others' kernels waiting for it: NCCL lets them end when
// it is told to abort, which it takes from another thread, and which itself ends when no graph holds operations.
#include <fmt/core.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "comm/beat_thread.h"
#include "comm/cuda/device_communicator.h"
#include "comm/cuda/nccl_library.h"
#include "comm/host_place.h"

namespace vortex::cuda {
namespace {

// A call that waits inside NCCL for a rank that is gone returns only after the abort.
constexpr std::chrono::milliseconds kLongestCall{500};
constexpr std::chrono::seconds kLongestAbort{5};

/// Held also by threads that may outlive the communicator: a start or an abort that does not end.
struct Shared {
  explicit Shared(const NcclLibrary& library) : nccl(library) {}

  const NcclLibrary nccl;
  std::timed_mutex busy;  // held by who queues
  std::mutex mutex;       // guards the rest
  std::condition_variable changed;
  std::optional<int> started;  // what NCCL said to it
  NcclLibrary::Handle comm = nullptr;
  std::optional<Error> failure;  // the first
  bool aborting = false, aborted = false;
};

Error nccl_error(const Shared& shared, int result, const char* what) {
  return {ErrorCode::kUnavailable, "nccl", fmt::format("{}: {}", what, shared.nccl.get_error_string(result)), ""};
}

void take_away(Shared& shared) {
  { const std::unique_lock queueing(shared.busy, kLongestCall); }  // who comes later sees the failure
  shared.nccl.comm_abort(shared.comm);
  {
    const std::lock_guard lock(shared.mutex);
    shared.aborted = true;
  }
  shared.changed.notify_all();
}

void note_failure(const std::shared_ptr<Shared>& shared, const Error& error) {
  const std::lock_guard lock(shared->mutex);
  if (shared->failure) return;
  shared->failure = error;
  shared->changed.notify_all();
  if (shared->comm == nullptr) return;
  shared->aborting = true;
  comm::quiet_thread([shared] { take_away(*shared); }).detach();
}

/// Ranks of one host need no network: unless the user named an interface, nobody else can reach them.
void choose_interface(comm::Communicator& ranks) {
  const auto place = comm::host_place(ranks);
  if (!place.ok()) throw Failure(place.error());
  if (place->ranks == ranks.size()) ::setenv("NCCL_SOCKET_IFNAME", "lo", 0);
}

NcclId agreed_id(const NcclLibrary& nccl, comm::Communicator& ranks) {
  NcclId id{};
  std::vector<std::byte> message(sizeof id);
  if (ranks.rank() == 0 && nccl.get_unique_id(&id) != NcclLibrary::kSuccess)
    fail("nccl", "it found no network interface to start on (NCCL_SOCKET_IFNAME names one)");
  std::memcpy(message.data(), &id, sizeof id);
  if (const Status sent = ranks.broadcast(&message); !sent.ok()) throw Failure(sent.error());
  VORTEX_CHECK(message.size() == sizeof id, "rank 0 sent {} bytes", message.size());
  std::memcpy(&id, message.data(), sizeof id);
  return id;
}

/// Waits for all ranks, on a thread of its own: nothing else ends the wait for one that failed.
void start(const std::shared_ptr<Shared>& shared, const NcclId& id, int rank, int ranks) {
  int device = 0;
  cudaGetDevice(&device);
  comm::quiet_thread([=] {
    cudaSetDevice(device);
    NcclLibrary::Handle comm = nullptr;
    const int result = shared->nccl.comm_init_rank(&comm, ranks, id, rank);
    {
      const std::lock_guard lock(shared->mutex);
      shared->comm = comm;
      shared->started = result;
    }
    shared->changed.notify_all();
  }).detach();
  std::unique_lock lock(shared->mutex);
  shared->changed.wait(lock, [&] { return shared->started || shared->failure; });
  if (shared->failure) throw Failure(*shared->failure);
  if (*shared->started != NcclLibrary::kSuccess) throw Failure(nccl_error(*shared, *shared->started, "start"));
}

class NcclCommunicator final : public DeviceCommunicator {
 public:
  explicit NcclCommunicator(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)), nccl_(shared_->nccl), comm_(shared_->comm), watch_([this] { return look(); }) {}

  ~NcclCommunicator() override {
    watch_.stop();
    std::unique_lock lock(shared_->mutex);
    if (shared_->aborting) {
      shared_->changed.wait_for(lock, kLongestAbort, [&] { return shared_->aborted; });
      return;
    }
    shared_->comm = nullptr;
    lock.unlock();
    nccl_.comm_destroy(comm_);
  }

  bool capturable() const override { return true; }

  void all_reduce_sum(const float* part, float* sum, int64_t n, cudaStream_t stream) override {
    check(nccl_.all_reduce(part, sum, static_cast<size_t>(n), NcclLibrary::kFloats, NcclLibrary::kSum, comm_, stream),
          "all-reduce");
  }
  void all_gather(const void* part, int64_t bytes, void* out, cudaStream_t stream) override {
    check(nccl_.all_gather(part, out, static_cast<size_t>(bytes), NcclLibrary::kBytes, comm_, stream), "all-gather");
  }
  void broadcast(void* data, int64_t bytes, cudaStream_t stream) override {
    check(nccl_.broadcast(data, data, static_cast<size_t>(bytes), NcclLibrary::kBytes, 0, comm_, stream), "broadcast");
  }

  std::unique_lock<std::timed_mutex> hold() override {
    std::unique_lock queueing(shared_->busy);
    if (const Status now = status(); !now.ok()) throw Failure(now.error());
    return queueing;
  }

  Status status() const override {
    const std::lock_guard lock(shared_->mutex);
    return shared_->failure ? Status(*shared_->failure) : Status();
  }

 private:
  /// The failure of a rank is the cause of what NCCL says after it.
  void check(int result, const char* what) const {
    if (result == NcclLibrary::kSuccess) return;
    const Status now = status();
    throw Failure(now.ok() ? nccl_error(*shared_, result, what) : now.error());
  }

  /// Every beat: has NCCL itself failed? Not while somebody queues.
  bool look() {
    const std::unique_lock idle(shared_->busy, std::try_to_lock);
    if (!idle) return true;
    if (!status().ok()) return false;
    int error = NcclLibrary::kSuccess;
    const int result = nccl_.comm_get_async_error(comm_, &error);
    if (result == NcclLibrary::kSuccess && error == NcclLibrary::kSuccess) return true;
    note_failure(shared_, nccl_error(*shared_, error != NcclLibrary::kSuccess ? error : result, "between ranks"));
    return false;
  }

  const std::shared_ptr<Shared> shared_;
  const NcclLibrary& nccl_;
  const NcclLibrary::Handle comm_;
  comm::BeatThread watch_;  // the last member: it uses the others
};

}  // namespace

std::unique_ptr<DeviceCommunicator> nccl_communicator(comm::Communicator* ranks) {
  auto nccl = NcclLibrary::open();
  if (!nccl.ok()) throw Failure(nccl.error());
  choose_interface(*ranks);
  const auto shared = std::make_shared<Shared>(*nccl);
  const NcclId id = agreed_id(*nccl, *ranks);
  ranks->on_failure([shared](const Error& error) { note_failure(shared, error); });
  start(shared, id, ranks->rank(), ranks->size());
  return std::make_unique<NcclCommunicator>(shared);
}

}  // namespace vortex::cuda
