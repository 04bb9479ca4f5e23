#include "kernels/cpu/panel_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace vortex::kernels::cpu {
namespace {

constexpr int64_t kAlignment = 64;
constexpr int64_t kHugePage = 2 << 20;
constexpr int64_t kChunk = 32 << 20;  // address space: memory is taken only where it is written

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

std::shared_ptr<std::byte> new_chunk(int64_t bytes) {
  void* memory = std::aligned_alloc(static_cast<size_t>(kHugePage), static_cast<size_t>(bytes));
  if (memory == nullptr) throw std::bad_alloc();
  // A refusal costs speed, nothing else.
  (void)madvise(memory, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

}  // namespace

std::shared_ptr<std::byte> PanelArena::allocate(int64_t bytes) {
  const int64_t taken = round_up(bytes, kAlignment);
  if (used_ + taken > size_) {
    size_ = round_up(std::max(taken, kChunk), kHugePage);
    chunk_ = new_chunk(size_);
    used_ = 0;
  }
  const std::shared_ptr<std::byte> memory(chunk_, chunk_.get() + used_);
  used_ += taken;
  return memory;
}

}  // namespace vortex::kernels::cpu
