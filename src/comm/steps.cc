#include "comm/steps.h"

#include <sched.h>

#include <chrono>

#include "base/cpu_relax.h"
#include "comm/futex.h"

namespace vortex::comm {
namespace {

using Clock = std::chrono::steady_clock;

// A rank is late by what its work differs from the others': most waits end early. The processor is offered to others
// soon, there may be more threads than cores, and given up late: a wake-up costs tens of microseconds.
constexpr int kSpins = 300;
constexpr auto kYielding = std::chrono::microseconds(200);
// A wake-up can be missed by one who looked just before a failure was said.
constexpr auto kLongestSleep = std::chrono::milliseconds(200);

}  // namespace

Steps::Steps(std::shared_ptr<Segment> segment, int rank)
    : segment_(std::move(segment)), rank_(rank), step_(segment_->state(rank).posted.load(std::memory_order_relaxed)) {}

std::byte* Steps::open() {
  if (broken()) return nullptr;
  for (int other = 0; other < segment_->ranks(); ++other)
    if (other != rank_ && !wait_for(other, step_)) return nullptr;
  ++step_;
  return segment_->slot(rank_, step_);
}

void Steps::post(const StepTag& tag) {
  RankState& own = segment_->state(rank_);
  tag_ = tag;
  own.tags[step_ % 2] = tag;
  // In order with `sleepers`: either the sleeper sees the step, or we see the sleeper.
  own.posted.store(step_, std::memory_order_seq_cst);
  if (own.sleepers.load(std::memory_order_seq_cst) != 0) futex_wake(own.posted);
}

const std::byte* Steps::hear(int rank) {
  if (!wait_for(rank, step_)) return nullptr;
  const StepTag& other = heard_tag(rank);
  const bool same = other.operation == tag_.operation && (tag_.bytes == 0 || other.bytes == tag_.bytes);
  VORTEX_CHECK(same, "rank {} is in operation {} of {} bytes, rank {} in {} of {}", rank_, tag_.operation, tag_.bytes,
               rank, other.operation, other.bytes);
  return segment_->slot(rank, step_);
}

const StepTag& Steps::heard_tag(int rank) const { return segment_->state(rank).tags[step_ % 2]; }

bool Steps::broken() {
  if (error_) return true;
  if (const auto failure = segment_->failure()) error_ = failure->error();
  return error_.has_value();
}

bool Steps::reached(int rank, uint32_t step) const {
  return static_cast<int32_t>(segment_->state(rank).posted.load(std::memory_order_acquire) - step) >= 0;
}

bool Steps::wait_for(int rank, uint32_t step) { return spin(rank, step) || sleep(rank, step); }

bool Steps::spin(int rank, uint32_t step) const {
  for (int i = 0; i < kSpins; ++i) {
    if (reached(rank, step)) return true;
    cpu_relax();
  }
  for (const auto end = Clock::now() + kYielding; Clock::now() < end;) {
    if (reached(rank, step)) return true;
    ::sched_yield();
  }
  return false;
}

bool Steps::sleep(int rank, uint32_t step) {
  RankState& other = segment_->state(rank);
  while (true) {
    if (broken()) return false;
    const std::optional<int> gone = gone_before(step);
    other.sleepers.fetch_add(1, std::memory_order_seq_cst);
    const uint32_t posted = other.posted.load(std::memory_order_seq_cst);
    const bool done = static_cast<int32_t>(posted - step) >= 0;
    // What a rank said before it left is still heard.
    if (!done && !gone) futex_wait(other.posted, posted, kLongestSleep);
    other.sleepers.fetch_sub(1, std::memory_order_relaxed);
    if (done) return true;
    if (gone) {
      error_ = Failure{*gone, FailureKind::kLeft}.error();
      return false;
    }
  }
}

std::optional<int> Steps::gone_before(uint32_t step) const {
  for (int rank = 0; rank < segment_->ranks(); ++rank)
    if (segment_->presence(rank) == Presence::kLeft && !reached(rank, step)) return rank;
  return std::nullopt;
}

}  // namespace vortex::comm
