#include "sample/sampling_params.h"

#include <cmath>

namespace vortex::sample {
namespace {

template <class T>
Status check(bool ok, const char* name, T value, const char* range) {
  if (ok) return {};
  return Error{ErrorCode::kInvalidArgument, name, fmt::format("{} is out of range", value),
               fmt::format("give {}", range)};
}

}  // namespace

Status validate(const SamplingParams& p) {
  const auto between = [](double x, double low, double high) { return x >= low && x <= high; };  // false for NaN
  VORTEX_RETURN_IF_ERROR(check(between(p.temperature, 0, 100), "temperature", p.temperature, "0 to 100"));
  VORTEX_RETURN_IF_ERROR(check(p.top_k >= -1, "top_k", p.top_k, "-1, 0 or a positive count"));
  VORTEX_RETURN_IF_ERROR(check(between(p.top_p, 0, 1) && p.top_p > 0, "top_p", p.top_p, "a number above 0, at most 1"));
  VORTEX_RETURN_IF_ERROR(check(between(p.min_p, 0, 1), "min_p", p.min_p, "0 to 1"));
  VORTEX_RETURN_IF_ERROR(
      check(between(p.repetition_penalty, 1e-3, 1e3), "repetition_penalty", p.repetition_penalty, "0.001 to 1000"));
  VORTEX_RETURN_IF_ERROR(check(p.max_tokens == -1 || p.max_tokens > 0, "max_tokens", p.max_tokens, "at least 1"));
  VORTEX_RETURN_IF_ERROR(check(p.min_tokens >= 0, "min_tokens", p.min_tokens, "at least 0"));
  for (const std::string& stop : p.stop)
    VORTEX_RETURN_IF_ERROR(check(!stop.empty() && stop.size() <= 4096, "stop", stop.size(), "1 to 4096 bytes each"));
  return {};
}

}  // namespace vortex::sample
