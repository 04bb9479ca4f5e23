#include "comm/mpi/mpi_communicator.h"

#include <sched.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "comm/mpi/liveness.h"
#include "comm/rank_error.h"
#include "comm/rank_order_sum.h"

namespace vortex::comm {
namespace {

using Clock = std::chrono::steady_clock;

// What one call of MPI carries a rank: its counts are ints, and what it reads and writes lies in buffers of ours, which
// outlive a call that never ends.
constexpr int64_t kWindowBytes = 1 << 20;
constexpr int64_t kWindowFloats = kWindowBytes / static_cast<int64_t>(sizeof(float));
constexpr uint64_t kMostMessageBytes = uint64_t{1} << 36;
// Looking again and again is quickest; a wait that lasts is idle, and looks a thousand times a second.
constexpr auto kSpinning = std::chrono::milliseconds(1);
constexpr auto kNap = std::chrono::milliseconds(1);
// A rank's last words may come after the news that it left.
constexpr auto kLastWords = std::chrono::milliseconds(200);

class MpiRank : public MpiCommunicator {
 public:
  MpiRank(MPI_Comm words, MPI_Comm pings, std::mutex* calls, std::chrono::milliseconds timeout)
      : words_(words), calls_(calls), sent_(std::make_unique<std::byte[]>(kWindowBytes)) {
    MPI_Comm_rank(words_, &rank_);
    MPI_Comm_size(words_, &size_);
    received_ = std::make_unique<std::byte[]>(kWindowBytes * size_);
    liveness_.emplace(pings, calls, timeout);
  }

  ~MpiRank() override {
    if (liveness_ && !broken()) liveness_->leave();
    // Whatever still waits for a rank that died may be written to until the process ends.
    if (broken()) {
      static_cast<void>(sent_.release());
      static_cast<void>(received_.release());
    }
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void rest() override { liveness_.reset(); }

  bool broken() const override {
    const auto failure = liveness_ ? liveness_->failure() : std::nullopt;
    return failure && failure->kind != FailureKind::kLeft;
  }

  void on_failure(std::function<void(const Error&)> told) override { liveness_->on_failure(std::move(told)); }

  Status all_reduce_sum(std::span<float> data) override {
    VORTEX_RETURN_IF_ERROR(state());
    for (size_t begin = 0; begin < data.size(); begin += kWindowFloats) {
      const auto part = data.subspan(begin, std::min<size_t>(kWindowFloats, data.size() - begin));
      const int count = static_cast<int>(part.size());
      std::memcpy(sent_.get(), part.data(), part.size_bytes());
      VORTEX_RETURN_IF_ERROR(wait([&](MPI_Request* request) {
        return MPI_Iallgather(sent_.get(), count, MPI_FLOAT, received_.get(), count, MPI_FLOAT, words_, request);
      }));
      const float* parts[kMaxRanks];
      for (int other = 0; other < size_; ++other)
        parts[other] = reinterpret_cast<const float*>(received_.get()) + int64_t{count} * other;
      sum_in_rank_order(parts, size_, count, part.data());
    }
    return {};
  }

  Status all_gather(std::span<const std::byte> part, std::span<const int64_t> bytes, std::byte* out) override {
    return gather_windows(true, part, bytes, out);
  }

  Status gather(std::span<const std::byte> part, std::span<const int64_t> bytes, std::byte* out) override {
    return gather_windows(false, part, bytes, out);
  }

  Status broadcast(std::vector<std::byte>* message) override {
    VORTEX_RETURN_IF_ERROR(state());
    uint64_t bytes = message->size();
    VORTEX_RETURN_IF_ERROR(broadcast_window(&bytes, sizeof bytes));
    VORTEX_CHECK(bytes <= kMostMessageBytes, "a message of {} bytes", bytes);
    message->resize(bytes);
    for (uint64_t begin = 0; begin < bytes; begin += kWindowBytes)
      VORTEX_RETURN_IF_ERROR(
          broadcast_window(message->data() + begin, std::min<uint64_t>(kWindowBytes, bytes - begin)));
    return {};
  }

 private:
  /// The error of a failure that is known.
  Status state() const {
    if (const auto failure = liveness_->failure()) return failure->error();
    return {};
  }

  Status broadcast_window(void* data, uint64_t bytes) {
    std::memcpy(sent_.get(), data, bytes);
    VORTEX_RETURN_IF_ERROR(wait([&](MPI_Request* request) {
      return MPI_Ibcast(sent_.get(), static_cast<int>(bytes), MPI_BYTE, 0, words_, request);
    }));
    std::memcpy(data, sent_.get(), bytes);
    return {};
  }

  Status gather_windows(bool everywhere, std::span<const std::byte> part, std::span<const int64_t> bytes,
                        std::byte* out) {
    VORTEX_CHECK(std::ssize(bytes) == size_ && std::ssize(part) == bytes[rank_], "rank {} gathers {} bytes", rank_,
                 part.size());
    VORTEX_RETURN_IF_ERROR(state());
    const int64_t longest = *std::ranges::max_element(bytes);
    for (int64_t begin = 0; begin < longest; begin += kWindowBytes)
      VORTEX_RETURN_IF_ERROR(gather_window(everywhere, part, bytes, begin, out));
    return {};
  }

  /// The bytes [begin, begin + kWindowBytes) of every part.
  Status gather_window(bool everywhere, std::span<const std::byte> part, std::span<const int64_t> bytes, int64_t begin,
                       std::byte* out) {
    std::vector<int> counts;
    std::vector<int> places;
    for (int other = 0; other < size_; ++other) {
      counts.push_back(static_cast<int>(std::clamp<int64_t>(bytes[other] - begin, 0, kWindowBytes)));
      places.push_back(other == 0 ? 0 : places.back() + counts[other - 1]);
    }
    if (counts[rank_] > 0) std::memcpy(sent_.get(), part.data() + begin, counts[rank_]);
    VORTEX_RETURN_IF_ERROR(wait([&](MPI_Request* request) {
      return everywhere ? MPI_Iallgatherv(sent_.get(), counts[rank_], MPI_BYTE, received_.get(), counts.data(),
                                          places.data(), MPI_BYTE, words_, request)
                        : MPI_Igatherv(sent_.get(), counts[rank_], MPI_BYTE, received_.get(), counts.data(),
                                       places.data(), MPI_BYTE, 0, words_, request);
    }));
    if (!everywhere && rank_ != 0) return {};
    std::byte* to = out;
    for (int other = 0; other < size_; to += bytes[other++])
      if (counts[other] > 0) std::memcpy(to + begin, received_.get() + places[other], counts[other]);
    return {};
  }

  /// Begins a call of MPI and looks after it until it is done or a rank has failed.
  template <class Begin>
  Status wait(Begin begin) {
    MPI_Request request = MPI_REQUEST_NULL;
    {
      const std::lock_guard lock(*calls_);
      if (begin(&request) != MPI_SUCCESS) return lost();
    }
    const auto begun = Clock::now();
    std::optional<Clock::time_point> left_at;
    while (true) {
      int done = 0;
      {
        const std::lock_guard lock(*calls_);
        if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return lost();
      }
      if (done != 0) return {};
      const auto now = Clock::now();
      if (const auto failure = liveness_->failure()) {
        if (failure->kind != FailureKind::kLeft) return failure->error();
        if (!left_at) left_at = now;
        if (now - *left_at > kLastWords) return failure->error();
      }
      if (now - begun < kSpinning) {
        ::sched_yield();
      } else {
        std::this_thread::sleep_for(kNap);
      }
    }
  }

  /// MPI has lost a rank and does not say which: the beats tell, soon.
  Status lost() {
    while (!liveness_->failure()) std::this_thread::sleep_for(kNap);
    return liveness_->failure()->error();
  }

  const MPI_Comm words_;
  std::mutex* const calls_;
  int rank_ = 0;
  int size_ = 1;
  std::unique_ptr<std::byte[]> sent_;
  std::unique_ptr<std::byte[]> received_;
  std::optional<Liveness> liveness_;  // none after rest()
};

}  // namespace

std::unique_ptr<MpiCommunicator> MpiCommunicator::join(MPI_Comm words, MPI_Comm pings, std::mutex* calls,
                                                       std::chrono::milliseconds timeout) {
  return std::make_unique<MpiRank>(words, pings, calls, timeout);
}

}  // namespace vortex::comm
