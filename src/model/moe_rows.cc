#include "model/moe_rows.h"

namespace vortex::model {

void ExpertRows::assign(std::span<const int32_t> chosen, int per_token, int experts) {
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
  row_of_.resize(chosen.size());
  token_of_.resize(chosen.size());
  for (size_t i = 0; i < chosen.size(); ++i) {
    row_of_[i] = next_[static_cast<size_t>(chosen[i])]++;
    token_of_[static_cast<size_t>(row_of_[i])] = static_cast<int64_t>(i) / per_token;
  }
}

}  // namespace vortex::model
