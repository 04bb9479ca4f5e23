// Generation: one request while it runs: its sampler, its text, its clock, its report.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/completion.h"
#include "sample/sampler.h"
#include "sample/stop_matcher.h"
#include "sched/sequence.h"
#include "tensor/sequence_state.h"
#include "text/incremental_decoder.h"
#include "text/tokenizer.h"

namespace vortex {

class Generation {
 public:
  using Clock = std::chrono::steady_clock;

  /// `tokenizer` may be null: then there is no text. `eos_ids` end the text unless the request ignores them;
  /// `max_length` bounds prompt and answer together.
  Generation(uint64_t id, GenerateRequest request, StreamCallback callback, const text::Tokenizer* tokenizer,
             std::span<const int32_t> eos_ids, int64_t max_length, uint64_t engine_seed);

  uint64_t id() const { return id_; }
  const std::vector<int32_t>& prompt() const { return prompt_; }

  /// A chunk is about to run. True once, for a request whose context is synthetic: fill it now.
  bool on_start();
  bool synthetic() const { return synthetic_; }
  /// A step computed tokens of the sequence up to `computed`.
  void on_progress(int64_t computed);
  /// Counts a decode step's pages.
  void on_decode(int64_t pages_held, int64_t pages_read, bool sparse);
  /// Chooses the next token from `logits` (scratch afterwards), streams its text and appends it to the sequence.
  /// True when the request is finished.
  bool on_logits(std::span<float> logits, sched::Sequence* sequence);

  /// Ends the request early; the callback hears of it.
  void cancel();
  void fail(const Error& error);

  SparsityReport& sparsity() { return completion_.sparsity; }
  /// What the flow's Save keeps for this request; it survives preemption.
  SequenceState* flow_state() { return &flow_state_; }

 private:
  bool ends_text(int32_t token) const;
  void note_time();
  void emit(std::string_view text);
  void emit_held_text();
  void finish(FinishReason reason);

  uint64_t id_;
  std::vector<int32_t> prompt_;
  sample::SamplingParams params_;
  StreamCallback callback_;
  std::vector<int32_t> end_ids_;  // eos and stop tokens
  int64_t max_tokens_;
  bool synthetic_;
  sample::Sampler sampler_;
  std::optional<text::IncrementalDecoder> decoder_;  // absent: token ids only
  sample::StopMatcher stops_;
  Completion completion_;
  SequenceState flow_state_;
  Clock::time_point arrived_, last_token_;
  std::optional<Clock::time_point> started_;
};

}  // namespace vortex
