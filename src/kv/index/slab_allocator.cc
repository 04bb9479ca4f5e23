#include "kv/index/slab_allocator.h"

namespace vortex::kv {

SlabAllocator::SlabAllocator(int32_t capacity)
    : references_(static_cast<size_t>(capacity), 0), kept_(static_cast<size_t>(capacity), false) {
  VORTEX_CHECK(capacity > 0, "a pool of {} slabs", capacity);
  free_.reserve(static_cast<size_t>(capacity));
  for (SlabId slab = capacity - 1; slab >= 0; --slab) free_.push_back(slab);
}

std::optional<SlabId> SlabAllocator::allocate() {
  if (free_.empty()) return std::nullopt;
  const SlabId slab = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(slab)] = 1;
  return slab;
}

void SlabAllocator::retain(SlabId slab) {
  VORTEX_CHECK(references(slab) > 0, "slab {} is free", slab);
  if (kept(slab) && references(slab) == 1) --idle_;
  ++references_[static_cast<size_t>(slab)];
}

void SlabAllocator::release(SlabId slab) {
  VORTEX_CHECK(references(slab) > 0, "slab {} is free already", slab);
  VORTEX_CHECK(!kept(slab) || references(slab) > 1, "slab {} is the cache's", slab);
  if (--references_[static_cast<size_t>(slab)] == 0) free_.push_back(slab);
  if (kept(slab) && references(slab) == 1) ++idle_;
}

void SlabAllocator::keep(SlabId slab) {
  VORTEX_CHECK(!kept(slab), "slab {} is kept already", slab);
  retain(slab);
  kept_[static_cast<size_t>(slab)] = true;
}

void SlabAllocator::stop_keeping(SlabId slab) {
  VORTEX_CHECK(kept(slab), "slab {} is not kept", slab);
  if (references(slab) == 1) --idle_;
  kept_[static_cast<size_t>(slab)] = false;
  release(slab);
}

int32_t SlabAllocator::references(SlabId slab) const {
  VORTEX_CHECK(slab >= 0 && slab < capacity(), "slab {} of {}", slab, capacity());
  return references_[static_cast<size_t>(slab)];
}

Status SlabAllocator::check_integrity() const {
  const auto fault = [](std::string what) { return Error{ErrorCode::kInternal, "kv index", std::move(what), ""}; };
  std::vector<bool> seen(references_.size(), false);
  for (SlabId slab : free_) {
    const auto i = static_cast<size_t>(slab);
    if (seen[i] || references_[i] != 0) return fault(fmt::format("slab {} is free and in use", slab));
    seen[i] = true;
  }
  int32_t idle = 0;
  for (size_t i = 0; i < seen.size(); ++i) {
    if (!seen[i] && references_[i] <= 0) return fault(fmt::format("slab {} is lost", i));
    idle += kept_[i] && references_[i] == 1;
  }
  if (idle != idle_) return fault(fmt::format("{} idle slabs counted as {}", idle, idle_));
  return {};
}

}  // namespace vortex::kv
