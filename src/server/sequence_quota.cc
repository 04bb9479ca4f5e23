#include "server/sequence_quota.h"

namespace vortex::server {

bool SequenceQuota::take(int64_t sequences, int64_t tokens) {
  const std::lock_guard lock(mutex_);
  if (sequences > 0 && sequences_ + sequences > most_sequences_) return false;
  if (tokens > 0 && most_queued_tokens_ > 0 && queued_tokens_ + tokens > most_queued_tokens_) return false;
  sequences_ += sequences;
  queued_tokens_ += tokens;
  return true;
}

std::optional<SequenceQuota::Ticket> SequenceQuota::enter() {
  if (!take(1, 0)) return std::nullopt;
  return Ticket(this, 1);
}

int64_t SequenceQuota::sequences() const {
  const std::lock_guard lock(mutex_);
  return sequences_;
}

SequenceQuota::Ticket::~Ticket() {
  if (quota_ != nullptr) quota_->take(-sequences_, -tokens_);
}

bool SequenceQuota::Ticket::grow_to(int64_t sequences) {
  if (!quota_->take(sequences - sequences_, 0)) return false;
  sequences_ = sequences;
  return true;
}

bool SequenceQuota::Ticket::queue_tokens(int64_t tokens) {
  if (!quota_->take(0, tokens)) return false;
  tokens_ += tokens;
  return true;
}

void SequenceQuota::Ticket::leave_queue() { quota_->take(0, -std::exchange(tokens_, 0)); }

}  // namespace vortex::server
