// SlabAllocator: which slabs of the pool are free. Host integers only: no memory, no device.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "tensor/paged.h"

namespace vortex::kv {

/// Hands out slab ids [0, capacity) with reference counts: a slab shared by several sequences is freed by the last.
/// One of the references may be a cache's, which keeps the slab's contents for later sequences.
class SlabAllocator {
 public:
  explicit SlabAllocator(int32_t capacity);

  /// A free slab with one reference; nothing when all are taken.
  std::optional<SlabId> allocate();
  void retain(SlabId slab);
  /// Drops one reference; at the last the slab is free again.
  void release(SlabId slab);

  /// The cache's reference: at most one a slab.
  void keep(SlabId slab);
  void stop_keeping(SlabId slab);
  bool kept(SlabId slab) const { return kept_[static_cast<size_t>(slab)]; }

  int32_t capacity() const { return static_cast<int32_t>(references_.size()); }
  int32_t free_slabs() const { return static_cast<int32_t>(free_.size()); }
  /// Slabs that only the cache refers to.
  int32_t idle_slabs() const { return idle_; }
  int32_t references(SlabId slab) const;

  /// Every slab is either free once or referenced; anything else is our bug, reported as kInternal.
  Status check_integrity() const;

 private:
  std::vector<int32_t> references_;  // by slab
  std::vector<bool> kept_;           // by slab: the cache has a reference
  std::vector<SlabId> free_;         // a stack: recently freed slabs are warm in cache
  int32_t idle_ = 0;
};

}  // namespace vortex::kv
