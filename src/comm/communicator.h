// What the ranks of one model say to each other. A rank is a process (or, in tests, a thread) that computes its share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"

namespace vortex::comm {

/// The ranks that compute one model together. Every rank calls the same operations in the same order with the same
/// sizes, one call at a time. Once a rank died, stopped answering or left, the calls that need it return kUnavailable
/// with where = "rank N" on every other rank, within the group's timeout, and so does every later call: none hangs.
class Communicator {
 public:
  virtual ~Communicator() = default;

  /// In [0, size()).
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// data[i] becomes the sum of data[i] over ranks, added in the order of ranks: the same bits on every rank.
  virtual Status all_reduce_sum(std::span<float> data) = 0;

  /// The parts of all ranks one after another, in the order of ranks, on every rank. bytes[r] is the size of rank r's
  /// part, known to all; `out` has room for their sum and holds no part.
  virtual Status all_gather(std::span<const std::byte> part, std::span<const int64_t> bytes, std::byte* out) = 0;

  /// The same on rank 0 alone; `out` may be null elsewhere. The others may return before rank 0 has read their parts.
  virtual Status gather(std::span<const std::byte> part, std::span<const int64_t> bytes, std::byte* out) = 0;

  /// Rank 0's message on all ranks; the others need not know its length. They wait for it as long as rank 0 lives, and
  /// a long wait costs no processor time.
  virtual Status broadcast(std::vector<std::byte>* message) = 0;

  /// `told`, like those given before it, hears once, on a thread of the communicator, that a rank failed: for a rank
  /// that waits for something else at that time. At once, on the calling thread, if it has failed already. Must not
  /// destroy the communicator.
  virtual void on_failure(std::function<void(const Error&)> told) = 0;
};

}  // namespace vortex::comm
