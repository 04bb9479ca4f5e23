#include "comm/shared_memory.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "comm/heartbeat.h"
#include "comm/rank_error.h"
#include "comm/rank_order_sum.h"
#include "comm/steps.h"

namespace vortex::comm {
namespace {

enum Operation : uint64_t { kAllReduce = 1, kAllGather, kGather, kBroadcast };

constexpr int64_t kSlotBytes = Segment::kSlotBytes;
constexpr int64_t kSlotFloats = kSlotBytes / static_cast<int64_t>(sizeof(float));
// What a message may claim to have: far above what is sent, far below what a torn word would say.
constexpr uint64_t kMostMessageBytes = uint64_t{1} << 36;
// From here on, adding a share each and passing it on costs less than adding everything everywhere.
constexpr int64_t kSharedSumFloats = 16 << 10;

class SharedMemoryRank : public Communicator {
 public:
  SharedMemoryRank(std::shared_ptr<Segment> segment, int rank, std::chrono::milliseconds timeout)
      : segment_(std::move(segment)), rank_(rank), steps_(segment_, rank), heartbeat_(segment_, rank, timeout) {
    segment_->set_presence(rank, Presence::kPresent);
  }
  ~SharedMemoryRank() override { segment_->set_presence(rank_, Presence::kLeft); }

  int rank() const override { return rank_; }
  int size() const override { return segment_->ranks(); }
  void on_failure(std::function<void(const Error&)> told) override { heartbeat_.on_failure(std::move(told)); }

  Status all_reduce_sum(std::span<float> data) override {
    if (steps_.broken()) return steps_.error();
    if (size() == 1) return {};
    const StepTag tag{kAllReduce, data.size_bytes()};
    for (size_t begin = 0; begin < data.size(); begin += kSlotFloats) {
      const auto part = data.subspan(begin, std::min<size_t>(kSlotFloats, data.size() - begin));
      const bool in_shares = size() > 2 && std::ssize(part) >= kSharedSumFloats;
      if (!(in_shares ? reduce_shares(part, tag) : reduce(part, tag))) return steps_.error();
    }
    return {};
  }

  Status all_gather(std::span<const std::byte> part, std::span<const int64_t> bytes, std::byte* out) override {
    return gather_on(true, kAllGather, part, bytes, out);
  }

  Status gather(std::span<const std::byte> part, std::span<const int64_t> bytes, std::byte* out) override {
    return gather_on(rank_ == 0, kGather, part, bytes, out);
  }

  Status broadcast(std::vector<std::byte>* message) override {
    if (steps_.broken()) return steps_.error();
    if (size() == 1) return {};
    return (rank_ == 0 ? send(*message) : receive(message)) ? Status() : steps_.error();
  }

 private:
  /// Every rank adds all parts.
  bool reduce(std::span<float> data, const StepTag& tag) {
    const float* parts[kMaxRanks];
    if (!exchange(data, tag, parts)) return false;
    // Two parts may be added in place, which spares reading the own slot.
    if (size() == 2) parts[rank_] = data.data();
    sum_in_rank_order(parts, size(), std::ssize(data), data.data());
    return true;
  }

  /// Each rank adds one share of all parts, and takes the others' sums in a second step.
  bool reduce_shares(std::span<float> data, const StepTag& tag) {
    const float* parts[kMaxRanks];
    if (!exchange(data, tag, parts)) return false;
    auto* sums = reinterpret_cast<float*>(steps_.open());
    if (sums == nullptr) return false;
    const int64_t begin = share_begin(rank_, std::ssize(data));
    for (int other = 0; other < size(); ++other) parts[other] += begin;
    sum_in_rank_order(parts, size(), share_begin(rank_ + 1, std::ssize(data)) - begin, sums + begin);
    steps_.post(tag);
    if (!hear_all(parts)) return false;
    for (int other = 0; other < size(); ++other) {
      const int64_t first = share_begin(other, std::ssize(data));
      std::copy(parts[other] + first, parts[other] + share_begin(other + 1, std::ssize(data)), data.begin() + first);
    }
    return true;
  }

  /// Leaves this rank's part and hears the others'.
  bool exchange(std::span<const float> data, const StepTag& tag, const float** parts) {
    std::byte* slot = steps_.open();
    if (slot == nullptr) return false;
    std::memcpy(slot, data.data(), data.size_bytes());
    steps_.post(tag);
    return hear_all(parts);
  }

  /// Shares begin at cache lines, so that no two ranks write to one.
  int64_t share_begin(int rank, int64_t n) const {
    constexpr int64_t kLineFloats = 16;
    return rank == size() ? n : n * rank / size() / kLineFloats * kLineFloats;
  }

  bool hear_all(const float** parts) {
    for (int other = 0; other < size(); ++other) {
      parts[other] = reinterpret_cast<const float*>(steps_.hear(other));
      if (parts[other] == nullptr) return false;
    }
    return true;
  }

  Status gather_on(bool reading, Operation operation, std::span<const std::byte> part, std::span<const int64_t> bytes,
                   std::byte* out) {
    VORTEX_CHECK(std::ssize(bytes) == size() && std::ssize(part) == bytes[rank_], "rank {} gathers {} bytes", rank_,
                 part.size());
    if (steps_.broken()) return steps_.error();
    const int64_t longest = *std::ranges::max_element(bytes);
    const StepTag tag{operation, static_cast<uint64_t>(longest)};
    for (int64_t begin = 0; begin < longest; begin += kSlotBytes)
      if (!gather_step(reading, tag, part, bytes, begin, out)) return steps_.error();
    if (reading && !part.empty()) std::ranges::copy(part, out + offset_of(rank_, bytes));
    return {};
  }

  static int64_t offset_of(int rank, std::span<const int64_t> bytes) {
    int64_t offset = 0;
    for (int before = 0; before < rank; ++before) offset += bytes[before];
    return offset;
  }

  /// The bytes [begin, begin + kSlotBytes) of every part.
  bool gather_step(bool reading, const StepTag& tag, std::span<const std::byte> part, std::span<const int64_t> bytes,
                   int64_t begin, std::byte* out) {
    std::byte* slot = steps_.open();
    if (slot == nullptr) return false;
    const auto size_at = [&](int rank) { return std::clamp<int64_t>(bytes[rank] - begin, 0, kSlotBytes); };
    if (size_at(rank_) > 0) std::memcpy(slot, part.data() + begin, size_at(rank_));
    steps_.post(tag);
    if (!reading) return true;
    int64_t offset = 0;
    for (int other = 0; other < size(); ++other) {
      if (other != rank_) {
        const std::byte* heard = steps_.hear(other);
        if (heard == nullptr) return false;
        if (size_at(other) > 0) std::memcpy(out + offset + begin, heard, size_at(other));
      }
      offset += bytes[other];
    }
    return true;
  }

  bool send(std::span<const std::byte> message) {
    const StepTag tag{kBroadcast, message.size()};
    do {
      std::byte* slot = steps_.open();
      if (slot == nullptr) return false;
      const auto part = message.first(std::min<size_t>(message.size(), kSlotBytes));
      std::ranges::copy(part, slot);
      steps_.post(tag);
      message = message.subspan(part.size());
    } while (!message.empty());
    return true;
  }

  bool receive(std::vector<std::byte>* message) {
    message->clear();
    uint64_t bytes = 0;
    do {
      if (steps_.open() == nullptr) return false;
      steps_.post({kBroadcast, 0});
      const std::byte* heard = steps_.hear(0);
      if (heard == nullptr) return false;
      bytes = steps_.heard_tag(0).bytes;
      VORTEX_CHECK(bytes <= kMostMessageBytes, "a message of {} bytes", bytes);
      message->reserve(bytes);
      message->insert(message->end(), heard, heard + std::min<uint64_t>(kSlotBytes, bytes - message->size()));
    } while (message->size() < bytes);
    return true;
  }

  const std::shared_ptr<Segment> segment_;
  const int rank_;
  Steps steps_;
  Heartbeat heartbeat_;
};

}  // namespace

std::unique_ptr<Communicator> shared_memory_rank(std::shared_ptr<Segment> segment, int rank,
                                                 std::chrono::milliseconds timeout) {
  return std::make_unique<SharedMemoryRank>(std::move(segment), rank, timeout);
}

}  // namespace vortex::comm
