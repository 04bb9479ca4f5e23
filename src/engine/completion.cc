#include "engine/completion.h"

#include <algorithm>

namespace vortex {

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "abort";
    case FinishReason::kError:
      return "error";
  }
  return "error";
}

double Timings::prefill_tokens_per_s(int64_t prompt_tokens) const {
  return prefill_s > 0 ? static_cast<double>(prompt_tokens) / prefill_s : 0.0;
}

double Timings::decode_tokens_per_s() const {
  if (intervals_s.empty()) return 0.0;
  std::vector<double> sorted = intervals_s;
  const auto middle = sorted.begin() + static_cast<int64_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle > 0 ? 1.0 / *middle : 0.0;
}

double SparsityReport::read_fraction() const {
  return pages_held > 0 ? static_cast<double>(pages_read) / static_cast<double>(pages_held) : 1.0;
}

void SparsityReport::add(const SparsityReport& other) {
  active |= other.active;
  flow = other.flow;
  page_size = other.page_size;
  layers_sparse = other.layers_sparse;
  pages_held += other.pages_held;
  pages_read += other.pages_read;
  steps_sparse += other.steps_sparse;
  steps_dense += other.steps_dense;
}

}  // namespace vortex
