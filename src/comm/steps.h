// The steps of segment_layout.h, as one rank takes them.
#pragma once

#include <memory>
#include <optional>

#include "comm/segment.h"

namespace vortex::comm {

class Steps {
 public:
  Steps(std::shared_ptr<Segment> segment, int rank);

  /// Begins the next step: own slot of kSlotBytes, once all ranks have read what lay in it; null: a rank failed.
  std::byte* open();
  /// Publishes what lies in the slot.
  void post(const StepTag& tag);
  /// What `rank` posted in this step, once it has; null: a rank failed, or this one left. Aborts where `rank` is in
  /// another operation.
  const std::byte* hear(int rank);
  /// The tag that came with it.
  const StepTag& heard_tag(int rank) const;

  /// Why open() or hear() gave null. The same from then on.
  const Error& error() const { return *error_; }
  /// Whether a rank has failed, be it noticed or not.
  bool broken();

 private:
  bool wait_for(int rank, uint32_t step);
  bool spin(int rank, uint32_t step) const;
  bool sleep(int rank, uint32_t step);
  bool reached(int rank, uint32_t step) const;
  /// A rank that left and will never post `step`, which may be another than the one waited for: that one waits too.
  std::optional<int> gone_before(uint32_t step) const;

  const std::shared_ptr<Segment> segment_;
  const int rank_;
  uint32_t step_;
  StepTag tag_;
  std::optional<Error> error_;
};

}  // namespace vortex::comm
