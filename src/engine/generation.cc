#include "engine/generation.h"

#include <algorithm>
#include <limits>

namespace vortex {
namespace {

double seconds(Generation::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

bool contains(std::span<const int32_t> ids, int32_t token) { return std::ranges::find(ids, token) != ids.end(); }

/// Each answer of a seeded request has a stream of its own.
uint64_t answer_seed(const sample::SamplingParams& params, uint64_t engine_seed, uint64_t request_id, int index) {
  return params.seed.value_or(engine_seed + request_id) + static_cast<uint64_t>(index);
}

}  // namespace

Generation::Generation(uint64_t request_id, int index, const GenerateRequest& request, StreamCallback callback,
                       const GenerationContext& context)
    : request_id_(request_id),
      index_(index),
      params_(request.sampling),
      callback_(std::move(callback)),
      eos_ids_(context.eos_ids.begin(), context.eos_ids.end()),
      end_ids_(params_.stop_token_ids),
      synthetic_(request.synthetic_context),
      dense_(request.sparsity.dense),
      selections_(request.selections),
      sampler_(params_, answer_seed(params_, context.seed, request_id, index)),
      stops_(params_.stop, params_.include_stop_str_in_output),
      arrived_(Clock::now()) {
  if (context.tokenizer != nullptr) decoder_.emplace(*context.tokenizer, params_.skip_special_tokens);
  if (!params_.ignore_eos) end_ids_.insert(end_ids_.end(), eos_ids_.begin(), eos_ids_.end());
  if (request.grammar != nullptr) grammar_.emplace(request.grammar);
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  const int64_t room = context.max_length - prompt_tokens;
  max_tokens_ = params_.max_tokens < 0 ? room : std::min(params_.max_tokens, room);
  completion_.usage.prompt_tokens = prompt_tokens;
}

bool Generation::on_start(const sched::Sequence& sequence) {
  if (started_) return false;
  started_ = Clock::now();
  completion_.timings.queue_s = seconds(*started_ - arrived_);
  completion_.usage.cached_tokens = sequence.cached;
  on_progress(sequence.cached);
  return synthetic_;
}

StreamEvent Generation::event() const {
  StreamEvent e;
  e.id = request_id_;
  e.index = index_;
  e.prompt_done = completion_.usage.prompt_tokens;
  return e;
}

void Generation::on_progress(int64_t computed) {
  if (!callback_) return;
  StreamEvent e = event();
  e.prompt_done = std::min(computed, completion_.usage.prompt_tokens);
  callback_(e);
}

void Generation::on_decode(int64_t pages_held, int64_t pages_read, bool sparse) {
  completion_.sparsity.pages_held += pages_held;
  completion_.sparsity.pages_read += pages_read;
  ++(sparse ? completion_.sparsity.steps_sparse : completion_.sparsity.steps_dense);
}

/// A sequence that is computed again after preemption has reported its first tokens already.
void Generation::on_prompt_logits(int64_t position, std::span<const float> logits, const sched::Sequence& sequence) {
  if (position + 1 >= sequence.prompt_tokens) return;
  if (position < static_cast<int64_t>(completion_.prompt_logprobs.size())) return;
  const int32_t next = sequence.tokens[static_cast<size_t>(position) + 1];
  completion_.prompt_logprobs.push_back(sample::token_logprobs(logits, next, params_.prompt_logprobs));
}

SequenceState* Generation::flow_state(const sched::Sequence& sequence) {
  if (preemptions_ != sequence.preemptions) flow_state_ = {};
  preemptions_ = sequence.preemptions;
  return &flow_state_;
}

bool Generation::on_logits(std::span<float> logits, sched::Sequence* sequence) {
  if (max_tokens_ == 0) {
    note_time();
    finish(FinishReason::kLength);
    return true;
  }
  if (grammar_ && !obey_grammar(logits)) return true;
  return on_token(choose(logits, *sequence), sequence);
}

bool Generation::on_token(int32_t token, sched::Sequence* sequence) {
  sequence->tokens.push_back(token);
  completion_.tokens.push_back(token);
  note_time();
  if (end_by_token(token)) return true;
  emit_token(decoder_ ? stops_.feed(decoder_->push(token)) : "", token);
  if (end_by_text()) return true;
  if (static_cast<int64_t>(completion_.tokens.size()) < max_tokens_) return false;
  finish(FinishReason::kLength);
  return true;
}

std::optional<model::TokenDraw> Generation::next_draw(int64_t ahead) {
  const bool early = static_cast<int64_t>(completion_.tokens.size()) + ahead < params_.min_tokens;
  if (max_tokens_ == 0 || grammar_ || early || params_.logprobs >= 0 || params_.prompt_logprobs >= 0) return {};
  if (!sample::depends_on_logits_alone(params_)) return {};
  model::TokenDraw draw{.on_device = true};
  if (params_.greedy()) return draw;
  draw.temperature = static_cast<float>(params_.temperature);
  draw.top_k = std::max(params_.top_k, 0);
  draw.top_p = static_cast<float>(params_.top_p);
  draw.min_p = static_cast<float>(params_.min_p);
  draw.uniform = sampler_.next_uniform();
  return draw;
}

bool Generation::ends_after(int64_t ahead) const {
  return static_cast<int64_t>(completion_.tokens.size()) + ahead + 1 >= max_tokens_;
}

/// Leaves only the tokens that may come next. False when there is none: the answer has ended.
bool Generation::obey_grammar(std::span<float> logits) {
  allowed_.resize((logits.size() + 31) / 32);
  if (!grammar_->allowed(allowed_)) {
    fail({ErrorCode::kInvalidArgument, "grammar", "no token of the vocabulary can continue the answer",
          "allow characters that the model can spell"});
    return false;
  }
  for (size_t i = 0; i < logits.size(); ++i)
    if ((allowed_[i / 32] >> (i % 32) & 1) == 0) logits[i] = -std::numeric_limits<float>::infinity();
  return true;
}

int32_t Generation::choose(std::span<float> logits, const sched::Sequence& sequence) {
  const bool early = static_cast<int64_t>(completion_.tokens.size()) < params_.min_tokens;
  const std::span<const int32_t> banned = early ? std::span<const int32_t>(end_ids_) : std::span<const int32_t>();
  const std::vector<float> untouched =
      params_.logprobs >= 0 ? std::vector<float>(logits.begin(), logits.end()) : std::vector<float>();
  const int32_t token = sampler_.sample(logits, sequence.tokens, static_cast<size_t>(sequence.prompt_tokens), banned);
  if (params_.logprobs >= 0) {
    completion_.logprobs.push_back(sample::token_logprobs(untouched, token, params_.logprobs));
    completion_.cumulative_logprob += completion_.logprobs.back().chosen.logprob;
  }
  return token;
}

bool Generation::end_by_token(int32_t token) {
  if (contains(end_ids_, token)) {
    if (!contains(eos_ids_, token)) completion_.stop_reason = token;
    emit_token("", token);
    finish(FinishReason::kStop);
    return true;
  }
  if (grammar_ && !contains(eos_ids_, token)) VORTEX_CHECK(grammar_->accept(token), "token {} was allowed", token);
  return false;
}

bool Generation::end_by_text() {
  if (stops_.stopped()) completion_.stop_reason = *stops_.matched();
  if (!stops_.stopped() && !(grammar_ && grammar_->must_end())) return false;
  finish(FinishReason::kStop);
  return true;
}

void Generation::note_time() {
  const Clock::time_point now = Clock::now();
  Timings& t = completion_.timings;
  if (completion_.tokens.size() <= 1) {
    t.ttft_s = seconds(now - arrived_);
    t.prefill_s = seconds(now - *started_);
  } else {
    t.intervals_s.push_back(seconds(now - last_token_));
    t.decode_s += t.intervals_s.back();
  }
  last_token_ = now;
}

void Generation::emit_token(std::string_view text, int32_t token) {
  completion_.text += text;
  if (!callback_) return;
  StreamEvent e = event();
  e.text = text;
  e.token = token;
  if (!completion_.logprobs.empty()) e.logprobs = &completion_.logprobs.back();
  callback_(e);
}

void Generation::emit_text(std::string_view text) {
  if (text.empty()) return;
  completion_.text += text;
  if (!callback_) return;
  StreamEvent e = event();
  e.text = text;
  callback_(e);
}

void Generation::cancel() { finish(FinishReason::kCancelled); }

void Generation::fail(const Error& error) {
  completion_.error = error;
  finish(FinishReason::kError);
}

/// The bytes of an unfinished character, and what might have become a stop string.
void Generation::emit_held_text() {
  if (!decoder_ || stops_.stopped()) return;
  emit_text(stops_.feed(decoder_->finish()));
  if (!stops_.stopped()) emit_text(stops_.finish());
}

void Generation::finish(FinishReason reason) {
  emit_held_text();
  completion_.finish_reason = reason;
  completion_.usage.completion_tokens = static_cast<int64_t>(completion_.tokens.size());
  if (!callback_) return;
  StreamEvent e = event();
  e.completion = &completion_;
  callback_(e);
}

}  // namespace vortex
