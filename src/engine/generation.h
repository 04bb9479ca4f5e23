// Generation: one answer of a request while it runs: its sampler, its text, its clock, its report.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/completion.h"
#include "engine/page_budget.h"
#include "grammar/grammar.h"
#include "model/batch.h"
#include "sample/sampler.h"
#include "sample/stop_matcher.h"
#include "sched/sequence.h"
#include "tensor/sequence_state.h"
#include "text/incremental_decoder.h"
#include "text/tokenizer.h"

namespace vortex {

/// What all generations of an engine share.
struct GenerationContext {
  const text::Tokenizer* tokenizer = nullptr;  // null: token ids only
  std::span<const int32_t> eos_ids;            // end the text unless the request ignores them
  int64_t max_length = 0;                      // of prompt and answer together
  uint64_t seed = 0;
};

class Generation {
 public:
  using Clock = std::chrono::steady_clock;

  /// Answer `index` of the request `request_id`; the first of its kind to be made when `index` is 0.
  Generation(uint64_t request_id, int index, const GenerateRequest& request, StreamCallback callback,
             const GenerationContext& context);

  uint64_t request_id() const { return request_id_; }

  /// A chunk is about to run. True once, for a request whose context is synthetic: fill it now.
  bool on_start(const sched::Sequence& sequence);
  bool synthetic() const { return synthetic_; }
  /// A step computed tokens of the sequence up to `computed`.
  void on_progress(int64_t computed);
  /// Counts a decode step's pages.
  void on_decode(int64_t pages_held, int64_t pages_read, bool sparse);
  /// Logits after the prompt token at `position`, for its log-probabilities.
  void on_prompt_logits(int64_t position, std::span<const float> logits, const sched::Sequence& sequence);
  /// Chooses the next token from finite `logits` (scratch afterwards), streams its text and appends it to the sequence.
  /// True when the answer is finished.
  bool on_logits(std::span<float> logits, sched::Sequence* sequence);

  /// The same for a token that the device drew.
  bool on_token(int32_t token, sched::Sequence* sequence);

  /// How the device is to draw the token after the next `ahead` ones, which are not known yet; nothing: the host must
  /// see its logits. Takes a number from the sampler's stream, as on_logits() would.
  std::optional<model::TokenDraw> next_draw(int64_t ahead);
  /// The token after the next `ahead` ones is the last, whatever it is.
  bool ends_after(int64_t ahead) const;

  /// Ends the answer early; the callback hears of it.
  void cancel();
  void fail(const Error& error);

  SparsityReport& sparsity() { return completion_.sparsity; }
  bool wants_prompt_logprobs() const { return params_.prompt_logprobs >= 0; }
  /// The request's own budget, when it has one.
  std::optional<PageBudget>& budget() { return budget_; }
  bool dense() const { return dense_; }
  /// Where its selections are recorded; null: nowhere.
  SelectionRecord* selections() const { return selections_.get(); }
  /// What the flow's Save keeps for this answer. A sequence that was preempted starts anew.
  SequenceState* flow_state(const sched::Sequence& sequence);

 private:
  bool obey_grammar(std::span<float> logits);
  int32_t choose(std::span<float> logits, const sched::Sequence& sequence);
  bool end_by_token(int32_t token);
  bool end_by_text();
  void note_time();
  void emit_token(std::string_view text, int32_t token);
  void emit_text(std::string_view text);
  void emit_held_text();
  StreamEvent event() const;
  void finish(FinishReason reason);

  uint64_t request_id_;
  int index_;
  sample::SamplingParams params_;
  StreamCallback callback_;
  std::vector<int32_t> eos_ids_, end_ids_;  // end_ids_: eos unless ignored, and stop tokens
  int64_t max_tokens_;
  bool synthetic_, dense_;
  std::shared_ptr<SelectionRecord> selections_;
  std::optional<PageBudget> budget_;
  sample::Sampler sampler_;
  std::optional<text::IncrementalDecoder> decoder_;  // absent: token ids only
  sample::StopMatcher stops_;
  std::optional<grammar::GrammarMatcher> grammar_;
  std::vector<uint32_t> allowed_;  // bits by token, scratch
  Completion completion_;
  SequenceState flow_state_;
  int preemptions_ = 0;  // of the sequence, when flow_state_ was started
  Clock::time_point arrived_, last_token_;
  std::optional<Clock::time_point> started_;
};

}  // namespace vortex
