// The shared memory of the ranks of one host. It has no name: it goes with the last process that holds it.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/files.h"
#include "base/result.h"
#include "comm/failure.h"
#include "comm/segment_layout.h"

namespace vortex::comm {

/// 128 random bits that only the ranks of one start know.
using Nonce = std::array<uint64_t, 2>;
Nonce random_nonce();
std::string to_text(const Nonce& nonce);  // 32 hexadecimal digits
std::optional<Nonce> nonce_of(std::string_view text);

class Segment {
 public:
  static constexpr size_t kSlotBytes = 256 << 10;

  /// By rank 0. `ranks` in [1, kMaxRanks].
  static Result<std::shared_ptr<Segment>> create(int ranks, const Nonce& nonce);
  /// Maps what `fd` names. Refused unless magic, layout, build, nonce, ranks and size are those of this process; the
  /// error's `where` is `fd`'s name, "rank memory".
  static Result<std::shared_ptr<Segment>> attach(UniqueFd fd, int ranks, const Nonce& nonce);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  int fd() const { return fd_.get(); }
  int ranks() const { return ranks_; }
  SegmentHeader& header() const { return *reinterpret_cast<SegmentHeader*>(base_); }
  RankState& state(int rank) const;
  /// kSlotBytes of `rank` for `step`.
  std::byte* slot(int rank, uint32_t step) const;

  Presence presence(int rank) const { return state(rank).presence.load(std::memory_order_acquire); }
  /// Wakes all who wait.
  void set_presence(int rank, Presence presence);

  /// The first failure is the one that counts. Wakes all who wait.
  void fail(const Failure& failure);
  std::optional<Failure> failure() const;

 private:
  Segment(UniqueFd fd, std::byte* base, size_t bytes, int ranks);
  static Result<std::shared_ptr<Segment>> map(UniqueFd fd, int ranks);
  void wake_all();

  const UniqueFd fd_;
  std::byte* const base_;
  const size_t bytes_;
  const int ranks_;
};

}  // namespace vortex::comm
