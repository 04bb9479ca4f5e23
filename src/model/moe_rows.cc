#include "model/moe_rows.h"

namespace vortex::model {

void ExpertRows::assign(std::span<const int32_t> chosen, int experts) {
  next_.assign(static_cast<size_t>(experts), 0);
  for (const int32_t expert : chosen) ++next_[static_cast<size_t>(expert)];
  runs_.clear();
  int64_t row = 0;
  for (int e = 0; e < experts; ++e) {
    int64_t& next = next_[static_cast<size_t>(e)];
    const int64_t count = next;
    next = row;
    row += count;
    if (count > 0) runs_.push_back({e, row - count, row});
  }
  row_of_.clear();
  for (const int32_t expert : chosen) row_of_.push_back(next_[static_cast<size_t>(expert)]++);
}

}  // namespace vortex::model
