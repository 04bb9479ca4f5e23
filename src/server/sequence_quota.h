// SequenceQuota: how many sequences, and tokens of prompts that wait, the server takes on. Asked before a request is
// read, so that a burst costs nothing.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace vortex::server {

class SequenceQuota {
 public:
  /// `most_sequences` run or wait; `most_queued_tokens` wait, 0: any number.
  SequenceQuota(int64_t most_sequences, int64_t most_queued_tokens)
      : most_sequences_(most_sequences), most_queued_tokens_(most_queued_tokens) {}

  /// What one request holds; given back when it is destroyed.
  class Ticket {
   public:
    Ticket(Ticket&& other) noexcept
        : quota_(std::exchange(other.quota_, nullptr)), sequences_(other.sequences_), tokens_(other.tokens_) {}
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket();

    /// Holds `sequences` from now on; false, and nothing changes, when there is no room.
    bool grow_to(int64_t sequences);
    /// Prompts of that many tokens wait; false when there is no room.
    bool queue_tokens(int64_t tokens);
    /// They wait no longer.
    void leave_queue();

   private:
    friend class SequenceQuota;
    Ticket(SequenceQuota* quota, int64_t sequences) : quota_(quota), sequences_(sequences) {}

    SequenceQuota* quota_;
    int64_t sequences_;
    int64_t tokens_ = 0;
  };

  /// A ticket for one sequence, or nothing when the server is full. Thread-safe, as the tickets are.
  std::optional<Ticket> enter();
  int64_t sequences() const;

 private:
  bool take(int64_t sequences, int64_t tokens);

  const int64_t most_sequences_, most_queued_tokens_;
  mutable std::mutex mutex_;
  int64_t sequences_ = 0;      // guarded by mutex_
  int64_t queued_tokens_ = 0;  // guarded by mutex_
};

}  // namespace vortex::server
