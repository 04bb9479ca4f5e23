// SequenceTable: the slabs of one sequence, in order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/index/slab_allocator.h"

namespace vortex::kv {

/// Owns its references: they are dropped by clear() or with the object. The allocator must outlive it.
class SequenceTable {
 public:
  SequenceTable(SlabAllocator* allocator, int slab_tokens) : allocator_(allocator), slab_tokens_(slab_tokens) {}
  ~SequenceTable() { clear(); }
  SequenceTable(const SequenceTable&) = delete;
  SequenceTable& operator=(const SequenceTable&) = delete;

  /// Starts an empty table with slabs that others hold too; they are retained, and never written here.
  void share(std::span<const SlabId> slabs);
  /// Makes room for `tokens` tokens in all. False, and nothing changed, when the pool has too few free slabs.
  bool reserve(int64_t tokens);
  void clear();

  /// Slabs that reserve(tokens) would take from the pool.
  int64_t missing(int64_t tokens) const;
  std::span<const SlabId> slabs() const { return slabs_; }
  int64_t capacity_tokens() const { return static_cast<int64_t>(slabs_.size()) * slab_tokens_; }

 private:
  SlabAllocator* allocator_;
  int slab_tokens_;
  std::vector<SlabId> slabs_;
};

}  // namespace vortex::kv
