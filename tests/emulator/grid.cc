#include "grid.h"

#include <fmt/core.h>

#include <array>
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

namespace vortex::emulator {
namespace {

namespace context = boost::context;

constexpr size_t kStackBytes = 128 << 10;
constexpr size_t kStacksAtOnce = 32;
constexpr unsigned char kPoison = 0xa5;

struct Copy {
  void* to;
  const void* from;
  int bytes;
  int group;
};

struct Warp;

struct Thread {
  Here at;
  Warp* warp = nullptr;
  int lane = 0;
  context::fiber fiber, scheduler;
  const uint64_t* gate = nullptr;  // closed while it has the value `closed`
  uint64_t closed = 0;
  std::vector<Copy> copies;
  int committed = 0;

  bool ready() const { return fiber && (gate == nullptr || *gate != closed); }
};

struct Warp {
  std::array<Thread, kLanes> threads;
  unsigned started = 0, ended = 0;  // lanes
  unsigned mask = 0, arrived = 0;   // of the exchange under way
  uint64_t exchanges = 0;
  Brought brought[2][kLanes];  // of this exchange and the one before
};

struct Block {
  std::vector<Warp> warps;
  int running = 0, waiting = 0;
  uint64_t barriers = 0;
};

std::mutex grid_mutex;  // static arrays of kernels are shared by all blocks of a process
const char* kernel_name = "";
Block* block = nullptr;
Thread* current = nullptr;
alignas(128) unsigned char shared_memory[kSharedBytes];

[[noreturn]] void die(const std::string& what) {
  fmt::print(stderr, "emulated GPU: kernel {}: {}\n", kernel_name, what);
  std::abort();
}

context::pooled_fixedsize_stack& stacks() {
  static context::pooled_fixedsize_stack pool(kStackBytes, kStacksAtOnce);
  return pool;
}

void wait_at(const uint64_t* gate, uint64_t closed) {
  Thread& me = *current;
  me.gate = gate;
  me.closed = closed;
  me.scheduler = std::move(me.scheduler).resume();
  me.gate = nullptr;
}

/// After an arrival or an end of a lane.
void finish_exchange(Warp& warp) {
  if (warp.arrived == 0 || warp.arrived != (warp.mask & warp.started & ~warp.ended)) return;
  warp.arrived = 0;
  ++warp.exchanges;
}

void start(Thread& thread, const std::function<void()>& body) {
  thread.copies.clear();
  thread.committed = 0;
  thread.gate = nullptr;
  thread.fiber = context::fiber(std::allocator_arg, stacks(), [&](context::fiber&& scheduler) {
    thread.scheduler = std::move(scheduler);
    body();
    thread.warp->ended |= 1u << thread.lane;
    --block->running;
    finish_exchange(*thread.warp);
    return std::move(thread.scheduler);
  });
}

void resume(Thread& thread) {
  current = &thread;
  here = &thread.at;
  thread.fiber = std::move(thread.fiber).resume();
}

/// Threads and warps in their order or the other way around: what lacks a barrier is wrong in one of the two.
bool backwards() {
  static const char* const order = std::getenv("VORTEX_EMULATOR_ORDER");
  static const bool reverse = order != nullptr && std::strcmp(order, "reverse") == 0;
  return reverse;
}

template <class Range>
auto& in_turn(Range& range, size_t i) {
  return range[backwards() ? range.size() - 1 - i : i];
}

bool run_warp(Warp& warp) {
  bool any = false;
  for (bool ran = true; ran;) {
    ran = false;
    for (size_t i = 0; i < warp.threads.size(); ++i) {
      Thread& thread = in_turn(warp.threads, i);
      if (!thread.ready()) continue;
      resume(thread);
      ran = any = true;
    }
  }
  return any;
}

void run_block() {
  while (block->running > 0) {
    bool any = false;
    for (size_t i = 0; i < block->warps.size(); ++i) any = run_warp(in_turn(block->warps, i)) || any;
    if (any || block->running == 0) continue;
    if (block->waiting != block->running)
      die(fmt::format("of {} threads {} wait for the block and the others for their warp", block->running,
                      block->waiting));
    block->waiting = 0;
    ++block->barriers;
  }
}

void start_block(Index at, Index grid, int threads, const std::function<void()>& body) {
  block->running = threads;
  block->waiting = 0;
  for (Warp& warp : block->warps) warp.started = warp.ended = warp.arrived = 0;
  for (int i = 0; i < threads; ++i) {
    Warp& warp = block->warps[static_cast<size_t>(i / kLanes)];
    Thread& thread = warp.threads[static_cast<size_t>(i % kLanes)];
    thread.at = {{static_cast<unsigned>(i), 0, 0}, at, {static_cast<unsigned>(threads), 1, 1}, grid};
    thread.warp = &warp;
    thread.lane = i % kLanes;
    warp.started |= 1u << thread.lane;
    start(thread, body);
  }
}

}  // namespace

const Here* here = nullptr;

unsigned char* dynamic_memory() { return shared_memory; }

void sync_threads() {
  ++block->waiting;
  wait_at(&block->barriers, block->barriers);
}

const Brought* exchange(unsigned mask, const void* value, size_t bytes) {
  Warp& warp = *current->warp;
  const unsigned lane = 1u << current->lane;
  if ((mask & lane) == 0) die(fmt::format("a lane is not in its own mask {:08x}", mask));
  if (warp.arrived != 0 && warp.mask != mask)
    die(fmt::format("lanes of a warp meet with masks {:08x} and {:08x}", warp.mask, mask));
  warp.mask = mask;
  warp.arrived |= lane;
  const uint64_t turn = warp.exchanges;
  Brought* slots = warp.brought[turn % 2];
  if (bytes > 0) std::memcpy(slots[current->lane].bytes, value, bytes);
  finish_exchange(warp);
  if (warp.exchanges == turn) wait_at(&warp.exchanges, turn);
  return slots;
}

void copy_later(void* to, const void* from, int bytes) {
  current->copies.push_back({to, from, bytes, current->committed});
}

void commit_copies() { ++current->committed; }

void wait_copies(int pending) {
  std::erase_if(current->copies, [&](const Copy& copy) {
    if (copy.group >= current->committed - pending) return false;
    std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
    std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, static_cast<size_t>(16 - copy.bytes));
    return true;
  });
}

void run_grid(const char* kernel, Index grid, int threads, int shared_bytes, const std::function<void()>& body) {
  const std::lock_guard lock(grid_mutex);
  kernel_name = kernel;
  if (shared_bytes > kSharedBytes) die(fmt::format("{} bytes of shared memory", shared_bytes));
  if (threads < 1 || threads > 1024) die(fmt::format("{} threads a block", threads));
  static Block reused;
  block = &reused;
  block->warps.resize(static_cast<size_t>((threads + kLanes - 1) / kLanes));
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        std::memset(shared_memory, kPoison, static_cast<size_t>(shared_bytes));
        start_block({x, y, z}, grid, threads, body);
        run_block();
      }
    }
  }
}

}  // namespace vortex::emulator
