#include "kv/index/sequence_table.h"

#include <algorithm>

namespace vortex::kv {

void SequenceTable::share(std::span<const SlabId> slabs) {
  VORTEX_CHECK(slabs_.empty(), "a table of {} slabs", slabs_.size());
  for (SlabId slab : slabs) allocator_->retain(slab);
  slabs_.assign(slabs.begin(), slabs.end());
}

int64_t SequenceTable::missing(int64_t tokens) const {
  const int64_t wanted = (tokens + slab_tokens_ - 1) / slab_tokens_;
  return std::max<int64_t>(wanted - static_cast<int64_t>(slabs_.size()), 0);
}

bool SequenceTable::reserve(int64_t tokens) {
  const int64_t count = missing(tokens);
  if (count > allocator_->free_slabs()) return false;
  for (int64_t i = 0; i < count; ++i) slabs_.push_back(*allocator_->allocate());
  return true;
}

void SequenceTable::clear() {
  for (SlabId slab : slabs_) allocator_->release(slab);
  slabs_.clear();
}

}  // namespace vortex::kv
