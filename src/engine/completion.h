// What a request asks and what it gets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "sample/logprobs.h"
#include "sample/sampling_params.h"

namespace vortex::grammar {
class CompiledGrammar;
}

namespace vortex {

struct SelectionRecord;

/// A request's own say over sparse attention; absent numbers are the engine's VortexConfig's. Ignored by a dense
/// engine, but for the check that the numbers are possible.
struct SparsityRequest {
  std::optional<int64_t> topk_val;
  std::optional<double> topk_ratio;
  bool dense = false;  // read every page
};

struct GenerateRequest {
  std::vector<int32_t> prompt;  // token ids, each below the vocabulary's size
  sample::SamplingParams sampling;
  int n = 1;                   // answers to the prompt; they share its pages
  int64_t priority = 0;        // lower runs first, as vLLM's
  std::string cache_salt;      // pages are shared only between requests of equal salt
  double queue_timeout_s = 0;  // refused with kUnavailable when it could not start by then; 0: waits for ever
  SparsityRequest sparsity;
  std::shared_ptr<const grammar::CompiledGrammar> grammar;  // what the answer must match; null: anything
  std::shared_ptr<SelectionRecord> selections;              // filled while it decodes; null: nothing is recorded
  bool synthetic_context = false;  // benchmarks: noise stands for the K and V of all but the last prompt token
};

enum class FinishReason { kStop, kLength, kCancelled, kError };
std::string_view finish_reason_name(FinishReason reason);  // "stop", "length", "abort", "error"

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;  // prompt tokens whose pages were there already
};

using TokenLogprob = sample::TokenLogprob;
using TokenLogprobs = sample::TokenLogprobs;

/// Seconds of a monotonic clock.
struct Timings {
  double queue_s = 0;               // from arrival to the first scheduled chunk
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
  std::variant<std::monostate, int32_t, std::string>
      stop_reason;                             // the stop token (not eos) or stop string that ended it
  std::optional<Error> error;                  // with kError
  std::vector<TokenLogprobs> logprobs;         // by token, when SamplingParams::logprobs asks
  std::vector<TokenLogprobs> prompt_logprobs;  // by prompt token but the first, when prompt_logprobs asks
  double cumulative_logprob = 0;               // of the tokens; 0 when no log-probabilities were asked for
  Usage usage;
  Timings timings;
  SparsityReport sparsity;
};

/// Progress of one answer of a request, on the engine thread: keep it short, do not call the engine back. The first
/// event says that it left the queue; each token gives one event, with the text that became certain; the last carries
/// the completion. What the pointers and views show is gone after the call.
struct StreamEvent {
  uint64_t id = 0;
  int index = 0;                            // which of the n answers
  int64_t prompt_done = 0;                  // prompt tokens computed so far
  std::string_view text;                    // new text, whole UTF-8 characters; may be empty
  std::optional<int32_t> token;             // the new token
  const TokenLogprobs* logprobs = nullptr;  // of the new token, when asked for
  const Completion* completion = nullptr;   // set once for each index, at the end
};
using StreamCallback = std::function<void(const StreamEvent&)>;

}  // namespace vortex
