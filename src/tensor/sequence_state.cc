#include "tensor/sequence_state.h"

#include <algorithm>
#include <cstring>

namespace vortex {
namespace {

constexpr int64_t kGrowth = 256;  // pages: a step rarely needs more memory than the one before

}  // namespace

const std::byte* SequenceState::Layer::at(const std::vector<std::byte>& copy, int slot, int head) const {
  int64_t offset = 0;
  for (int s = 0; s < slot; ++s) offset += slot_bytes_[static_cast<size_t>(s)] * heads_ * capacity_;
  return copy.data() + offset + slot_bytes_[static_cast<size_t>(slot)] * head * capacity_;
}

void SequenceState::Layer::prepare(const std::vector<int64_t>& slot_bytes, int heads, int64_t pages) {
  if (pages <= capacity_) return;
  Layer grown;
  grown.slot_bytes_ = slot_bytes;
  grown.heads_ = heads;
  grown.capacity_ = (pages + kGrowth - 1) / kGrowth * kGrowth;
  grown.saved_ = saved_;
  int64_t page_bytes = 0;
  for (int64_t bytes : slot_bytes) page_bytes += bytes;
  grown.before_.resize(static_cast<size_t>(page_bytes * heads * grown.capacity_));
  grown.after_.resize(grown.before_.size());
  if (saved_ > 0)
    for (int slot = 0; slot < static_cast<int>(slot_bytes.size()); ++slot)
      for (int head = 0; head < heads; ++head)
        std::memcpy(const_cast<std::byte*>(grown.before(slot, head)), before(slot, head),
                    static_cast<size_t>(slot_bytes[static_cast<size_t>(slot)] * saved_));
  *this = std::move(grown);
}

void SequenceState::Layer::finish(int64_t pages) {
  std::swap(before_, after_);
  saved_ = pages;
}

}  // namespace vortex
