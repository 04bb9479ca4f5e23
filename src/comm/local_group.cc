#include "comm/local_group.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

#include "comm/rank_error.h"

namespace vortex::comm {
namespace {

using Bytes = std::vector<std::byte>;

/// One operation: what each rank says in it.
struct Round {
  std::vector<Bytes> parts;
  std::vector<bool> said;
  int done = 0;  // ranks that have read what they wanted
};

/// The rounds under way, and who is still here.
class Table {
 public:
  explicit Table(int size) : done_(size, 0), here_(size, true), told_(size) {}

  int size() const { return static_cast<int>(here_.size()); }

  /// Says `part` and takes the parts of ranks [first, last), waiting for them.
  Result<std::vector<Bytes>> exchange(int rank, std::span<const std::byte> part, int first, int last) {
    std::unique_lock lock(mutex_);
    const int64_t number = done_[rank]++;
    {
      Round& round = round_of(number);
      round.parts[rank].assign(part.begin(), part.end());
      round.said[rank] = true;
    }
    changed_.notify_all();
    std::vector<Bytes> heard;
    for (int other = first; other < last; ++other) {
      changed_.wait(lock, [&] { return round_of(number).said[other] || !here_[other]; });
      if (!round_of(number).said[other]) return rank_error(other, "has left");
      heard.push_back(round_of(number).parts[other]);
    }
    ++round_of(number).done;
    while (!rounds_.empty() && rounds_.front().done == size()) {
      rounds_.pop_front();
      ++first_round_;
    }
    return heard;
  }

  void on_failure(int rank, std::function<void(const Error&)> told) {
    std::unique_lock lock(mutex_);
    const auto gone = std::ranges::find(here_, false);
    if (gone == here_.end()) {
      told_[rank].push_back(std::move(told));
      return;
    }
    lock.unlock();
    told(rank_error(static_cast<int>(gone - here_.begin()), "has left"));
  }

  void leave(int rank) {
    std::vector<std::function<void(const Error&)>> to_tell;
    {
      const std::lock_guard lock(mutex_);
      here_[rank] = false;
      told_[rank].clear();
      for (auto& listeners : told_)
        for (auto& told : std::exchange(listeners, {})) to_tell.push_back(std::move(told));
    }
    changed_.notify_all();
    for (const auto& told : to_tell) told(rank_error(rank, "has left"));
  }

 private:
  Round& round_of(int64_t number) {
    while (first_round_ + std::ssize(rounds_) <= number)
      rounds_.push_back({std::vector<Bytes>(size()), std::vector<bool>(size(), false)});
    return rounds_[number - first_round_];
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Round> rounds_;
  int64_t first_round_ = 0;
  std::vector<int64_t> done_;  // operations begun, by rank
  std::vector<bool> here_;
  std::vector<std::vector<std::function<void(const Error&)>>> told_;  // by rank
};

class LocalRank : public Communicator {
 public:
  LocalRank(std::shared_ptr<Table> table, int rank) : table_(std::move(table)), rank_(rank) {}
  ~LocalRank() override { table_->leave(rank_); }

  int rank() const override { return rank_; }
  int size() const override { return table_->size(); }

  Status all_reduce_sum(std::span<float> data) override {
    VORTEX_ASSIGN_OR_RETURN(const auto parts, table_->exchange(rank_, std::as_bytes(data), 0, size()));
    for (const Bytes& part : parts) VORTEX_CHECK(part.size() == data.size_bytes(), "ranks sum different sizes");
    for (size_t i = 0; i < data.size(); ++i) {
      float sum = 0;
      for (size_t r = 0; r < parts.size(); ++r) {
        float value;
        std::memcpy(&value, parts[r].data() + i * sizeof(float), sizeof(float));
        sum = r == 0 ? value : sum + value;
      }
      data[i] = sum;
    }
    return {};
  }

  Status all_gather(std::span<const std::byte> part, std::span<const int64_t> bytes, std::byte* out) override {
    check_part(part, bytes);
    VORTEX_ASSIGN_OR_RETURN(const auto parts, table_->exchange(rank_, part, 0, size()));
    join(parts, bytes, out);
    return {};
  }

  Status gather(std::span<const std::byte> part, std::span<const int64_t> bytes, std::byte* out) override {
    check_part(part, bytes);
    VORTEX_ASSIGN_OR_RETURN(const auto parts, table_->exchange(rank_, part, 0, rank_ == 0 ? size() : 0));
    if (rank_ == 0) join(parts, bytes, out);
    return {};
  }

  Status broadcast(std::vector<std::byte>* message) override {
    const auto said = rank_ == 0 ? std::span<const std::byte>(*message) : std::span<const std::byte>();
    VORTEX_ASSIGN_OR_RETURN(auto heard, table_->exchange(rank_, said, 0, 1));
    *message = std::move(heard[0]);
    return {};
  }

  void on_failure(std::function<void(const Error&)> told) override { table_->on_failure(rank_, std::move(told)); }

 private:
  void check_part(std::span<const std::byte> part, std::span<const int64_t> bytes) const {
    VORTEX_CHECK(std::ssize(bytes) == size() && std::ssize(part) == bytes[rank_], "rank {} gathers {} bytes", rank_,
                 part.size());
  }

  static void join(const std::vector<Bytes>& parts, std::span<const int64_t> bytes, std::byte* out) {
    for (size_t r = 0; r < parts.size(); ++r) {
      VORTEX_CHECK(std::ssize(parts[r]) == bytes[r], "rank {} sent {} bytes, not {}", r, parts[r].size(), bytes[r]);
      out = std::ranges::copy(parts[r], out).out;
    }
  }

  const std::shared_ptr<Table> table_;
  const int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> local_group(int size) {
  VORTEX_CHECK(size >= 1 && size <= kMaxRanks, "{} ranks", size);
  const auto table = std::make_shared<Table>(size);
  std::vector<std::unique_ptr<Communicator>> ranks;
  ranks.reserve(size);
  for (int rank = 0; rank < size; ++rank) ranks.push_back(std::make_unique<LocalRank>(table, rank));
  return ranks;
}

}  // namespace vortex::comm
