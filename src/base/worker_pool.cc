#include "base/worker_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/cpu_features.h"
#include "base/cpu_relax.h"

namespace vortex {
namespace {

constexpr int kMaxThreads = 1024;
constexpr std::size_t kCacheLine = 64;
constexpr auto kSpinTime = std::chrono::microseconds(60);
// Enough to catch a worker that is about to finish, when spinning would take the core it needs.
constexpr int kYieldsWhenCrowded = 4;

template <class Condition>
bool spin_until(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      cpu_relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

template <class Condition>
bool yield_until(Condition condition) {
  for (int i = 0; i < kYieldsWhenCrowded; ++i) {
    if (condition()) return true;
    std::this_thread::yield();
  }
  return false;
}

// Returns the first value of `word` other than `old`: spins, then sleeps in the kernel.
uint32_t await_change(const std::atomic<uint32_t>& word, uint32_t old, bool crowded) {
  const auto changed = [&] { return word.load(std::memory_order_acquire) != old; };
  const bool seen = crowded ? yield_until(changed) : spin_until(changed);
  if (!seen) word.wait(old, std::memory_order_acquire);
  return word.load(std::memory_order_acquire);
}

}  // namespace

/// A round has `size` shares. Whoever is free claims the next one, the caller too: on a busy machine a worker that the
/// kernel has not scheduled yet delays nobody, because the caller does its share.
struct WorkerPool::State {
  using Body = FunctionRef<void(int)>;

  explicit State(int thread_count) : size(thread_count), crowded(thread_count > usable_threads()) {}

  void worker() {
    uint32_t seen = 0;
    while (true) {
      seen = await_change(round, seen, crowded);
      if (stopping) return;
      run_shares(seen);
    }
  }

  /// Runs shares of round `number` until none is left. A worker that comes late finds them gone, or a later round's
  /// ticket, and never touches that round's body.
  void run_shares(uint32_t number) {
    uint64_t current = ticket.load(std::memory_order_acquire);
    while (current >> 32 == number && static_cast<int>(current & UINT32_MAX) < size) {
      if (!ticket.compare_exchange_weak(current, current + 1, std::memory_order_acq_rel)) continue;
      (*body)(static_cast<int>(current & UINT32_MAX));
      if (unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished.notify_one();
      current = ticket.load(std::memory_order_acquire);
    }
  }

  uint32_t start_round() {
    const uint32_t number = round.load(std::memory_order_relaxed) + 1;
    ticket.store(uint64_t{number} << 32, std::memory_order_release);
    round.store(number, std::memory_order_release);
    round.notify_all();
    return number;
  }

  void stop() {
    stopping = true;
    start_round();
    for (std::thread& thread : threads) thread.join();
  }

  void join_round() {
    for (uint32_t left = unfinished.load(std::memory_order_acquire); left != 0;) {
      left = await_change(unfinished, left, crowded);
    }
  }

  const int size;
  const bool crowded;  // more threads than cores: whoever spins keeps another from running
  std::optional<Body> body;
  bool stopping = false;
  bool in_use = false;
  std::vector<std::thread> threads;
  // Each on its own line: the waiters of one would otherwise slow the writers of the others.
  alignas(kCacheLine) std::atomic<uint32_t> round{0};
  alignas(kCacheLine) std::atomic<uint64_t> ticket{0};  // round in the high half, next share in the low
  alignas(kCacheLine) std::atomic<uint32_t> unfinished{0};
  alignas(kCacheLine) std::atomic<int64_t> next_item{0};
};

WorkerPool::WorkerPool(int threads) {
  VORTEX_CHECK(threads >= 1 && threads <= kMaxThreads, "{} threads", threads);
  state_ = std::make_unique<State>(threads);
  state_->threads.reserve(static_cast<std::size_t>(threads - 1));
  try {
    for (int t = 1; t < threads; ++t) state_->threads.emplace_back([state = state_.get()] { state->worker(); });
  } catch (...) {
    state_->stop();  // a thread that is not joined would end the program
    throw;
  }
}

WorkerPool::~WorkerPool() { state_->stop(); }

int WorkerPool::size() const { return state_->size; }

void WorkerPool::run(FunctionRef<void(int)> body) {
  State& state = *state_;
  VORTEX_CHECK(!state.in_use, "WorkerPool::run called from inside a body, or by two threads");
  state.in_use = true;
  state.body = body;
  state.unfinished.store(static_cast<uint32_t>(state.size), std::memory_order_relaxed);
  state.run_shares(state.start_round());
  state.join_round();
  state.in_use = false;
}

void WorkerPool::parallel_ranges(int64_t n, int64_t align, FunctionRef<void(int64_t, int64_t, int)> body) {
  VORTEX_CHECK(n >= 0 && align >= 1, "n {}, align {}", n, align);
  const int64_t blocks = n / align + (n % align != 0 ? 1 : 0);
  const int64_t share = blocks / size();
  const int64_t extra = blocks % size();
  const auto range = [&](int thread) {
    const int64_t first = share * thread + std::min<int64_t>(thread, extra);
    const int64_t last = first + share + (thread < extra ? 1 : 0);
    if (first == last) return;
    // The last block may be short, and n rounded up may not fit an int64.
    body(first * align, last == blocks ? n : last * align, thread);
  };
  if (blocks <= 1) {
    range(0);
  } else {
    run(range);
  }
}

void WorkerPool::parallel_items(int64_t n, FunctionRef<void(int64_t, int)> body) {
  VORTEX_CHECK(n >= 0, "n {}", n);
  if (n <= 1) {
    if (n == 1) body(0, 0);
    return;
  }
  std::atomic<int64_t>& next = state_->next_item;
  next.store(0, std::memory_order_relaxed);
  run([&](int thread) {
    for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < n;) body(item, thread);
  });
}

}  // namespace vortex
