// What a request asks and what it gets.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sample/sampling_params.h"

namespace vortex {

struct GenerateRequest {
  std::vector<int32_t> prompt;  // token ids, each below the vocabulary's size
  sample::SamplingParams sampling;
  bool synthetic_context = false;  // benchmarks: noise stands for the K and V of all but the last prompt token
};

enum class FinishReason { kStop, kLength, kCancelled, kError };
std::string_view finish_reason_name(FinishReason reason);  // "stop", "length", "abort", "error"

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;  // prompt tokens whose pages were there already
};

/// Seconds of a monotonic clock.
struct Timings {
  double ttft_s = 0;                // from arrival to the first token
  double prefill_s = 0;             // from the first scheduled chunk to the first token
  double decode_s = 0;              // from the first token to the last
  std::vector<double> intervals_s;  // between successive tokens: completion_tokens - 1 of them

  double prefill_tokens_per_s(int64_t prompt_tokens) const;
  /// From the median interval; 0 when there is none.
  double decode_tokens_per_s() const;
};

/// What sparse attention read of what was there; sums over decode steps, sparse layers and rows.
struct SparsityReport {
  bool active = false;  // a flow was on
  std::string flow;     // its name; empty when dense
  int page_size = 0;    // tokens
  int64_t pages_held = 0;
  int64_t pages_read = 0;
  int64_t steps_sparse = 0;  // decode steps that read fewer pages than they held
  int64_t steps_dense = 0;
  std::vector<int> layers_sparse;

  double read_fraction() const;
  void add(const SparsityReport& other);
};

struct Completion {
  std::string text;
  std::vector<int32_t> tokens;
  FinishReason finish_reason = FinishReason::kStop;
  std::optional<Error> error;  // with kError
  Usage usage;
  Timings timings;
  SparsityReport sparsity;
};

/// Progress of one request, on the engine thread: keep it short, do not call the engine back.
struct StreamEvent {
  uint64_t id = 0;
  int64_t prompt_done = 0;                 // prompt tokens computed so far
  std::string_view text;                   // new text, whole UTF-8 characters
  const Completion* completion = nullptr;  // set once, at the end
};
using StreamCallback = std::function<void(const StreamEvent&)>;

}  // namespace vortex
