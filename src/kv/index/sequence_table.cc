#include "kv/index/sequence_table.h"

namespace vortex::kv {

bool SequenceTable::reserve(int64_t tokens) {
  const int64_t wanted = (tokens + slab_tokens_ - 1) / slab_tokens_;
  const int64_t missing = wanted - static_cast<int64_t>(slabs_.size());
  if (missing > allocator_->free_slabs()) return false;
  for (int64_t i = 0; i < missing; ++i) slabs_.push_back(*allocator_->allocate());
  return true;
}

void SequenceTable::clear() {
  for (SlabId slab : slabs_) allocator_->release(slab);
  slabs_.clear();
}

}  // namespace vortex::kv
