// SequenceState: what a flow's Save keeps for one sequence, from one decode step to the next. It belongs to the
// sequence and goes with it, so that pages shared through a prefix cache stay as forward_cache wrote them.
//
// A layer has two copies: a step reads `before` and writes `after`, so that a Load never sees a Save of its own step;
// finish() makes the one the other. Saved pages are always a prefix of the sequence; of later pages the field itself
// holds the value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace vortex {

class SequenceState {
 public:
  /// One layer: values of [slots][heads][pages], a slot for each field that is saved.
  class Layer {
   public:
    /// Pages whose values are kept from the last step.
    int64_t saved_pages() const { return saved_; }

    /// Makes room for `pages` pages of `heads` rows with these bytes a page and slot. Call before a step's reads.
    void prepare(const std::vector<int64_t>& slot_bytes, int heads, int64_t pages);
    /// Page 0 of a slot and head; page j lies j * slot_bytes further. Pages below saved_pages() are valid.
    const std::byte* before(int slot, int head) const { return at(before_, slot, head); }
    std::byte* after(int slot, int head) { return const_cast<std::byte*>(at(after_, slot, head)); }
    /// Keeps what the step wrote to pages [0, pages).
    void finish(int64_t pages);

   private:
    const std::byte* at(const std::vector<std::byte>& copy, int slot, int head) const;

    std::vector<int64_t> slot_bytes_;
    int heads_ = 0;
    int64_t capacity_ = 0, saved_ = 0;  // pages
    std::vector<std::byte> before_, after_;
  };

  Layer& layer(int index) {
    if (static_cast<size_t>(index) >= layers_.size()) layers_.resize(static_cast<size_t>(index) + 1);
    return layers_[static_cast<size_t>(index)];
  }

  /// Where a device keeps all this in its own memory instead; freed with the state.
  std::shared_ptr<void>& on_device() { return on_device_; }
  /// By which other ranks know it; freed with the state.
  std::shared_ptr<void>& on_ranks() { return on_ranks_; }

 private:
  std::vector<Layer> layers_;
  std::shared_ptr<void> on_device_, on_ranks_;
};

}  // namespace vortex
