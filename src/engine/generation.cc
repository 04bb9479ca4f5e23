#include "engine/generation.h"

#include <algorithm>

namespace vortex {
namespace {

double seconds(Generation::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Generation::Generation(uint64_t id, GenerateRequest request, StreamCallback callback, const text::Tokenizer* tokenizer,
                       std::span<const int32_t> eos_ids, int64_t max_length, uint64_t engine_seed)
    : id_(id),
      prompt_(std::move(request.prompt)),
      params_(std::move(request.sampling)),
      callback_(std::move(callback)),
      end_ids_(params_.stop_token_ids),
      synthetic_(request.synthetic_context),
      sampler_(params_, params_.seed.value_or(engine_seed + id)),
      stops_(params_.stop),
      arrived_(Clock::now()) {
  if (tokenizer != nullptr) decoder_.emplace(*tokenizer, /*skip_special=*/true);
  if (!params_.ignore_eos) end_ids_.insert(end_ids_.end(), eos_ids.begin(), eos_ids.end());
  const int64_t room = max_length - static_cast<int64_t>(prompt_.size());
  max_tokens_ = params_.max_tokens < 0 ? room : std::min(params_.max_tokens, room);
  completion_.usage.prompt_tokens = static_cast<int64_t>(prompt_.size());
}

bool Generation::on_start() {
  if (started_) return false;
  started_ = Clock::now();
  return synthetic_;
}

void Generation::on_progress(int64_t computed) {
  if (!callback_) return;
  StreamEvent event;
  event.id = id_;
  event.prompt_done = std::min(computed, completion_.usage.prompt_tokens);
  callback_(event);
}

void Generation::on_decode(int64_t pages_held, int64_t pages_read, bool sparse) {
  completion_.sparsity.pages_held += pages_held;
  completion_.sparsity.pages_read += pages_read;
  ++(sparse ? completion_.sparsity.steps_sparse : completion_.sparsity.steps_dense);
}

bool Generation::on_logits(std::span<float> logits, sched::Sequence* sequence) {
  const bool early = static_cast<int64_t>(completion_.tokens.size()) < params_.min_tokens;
  const int32_t token = sampler_.sample(logits, sequence->tokens,
                                        early ? std::span<const int32_t>(end_ids_) : std::span<const int32_t>());
  sequence->tokens.push_back(token);
  completion_.tokens.push_back(token);
  note_time();
  if (ends_text(token)) {
    finish(FinishReason::kStop);
    return true;
  }
  if (decoder_) emit(stops_.feed(decoder_->push(token)));
  if (stops_.stopped()) {
    finish(FinishReason::kStop);
    return true;
  }
  if (static_cast<int64_t>(completion_.tokens.size()) < max_tokens_) return false;
  finish(FinishReason::kLength);
  return true;
}

bool Generation::ends_text(int32_t token) const { return std::ranges::find(end_ids_, token) != end_ids_.end(); }

void Generation::note_time() {
  const Clock::time_point now = Clock::now();
  Timings& t = completion_.timings;
  if (completion_.tokens.size() == 1) {
    t.ttft_s = seconds(now - arrived_);
    t.prefill_s = seconds(now - *started_);
  } else {
    t.intervals_s.push_back(seconds(now - last_token_));
    t.decode_s += t.intervals_s.back();
  }
  last_token_ = now;
}

void Generation::emit(std::string_view text) {
  if (text.empty()) return;
  completion_.text += text;
  if (!callback_) return;
  StreamEvent event;
  event.id = id_;
  event.prompt_done = completion_.usage.prompt_tokens;
  event.text = text;
  callback_(event);
}

void Generation::cancel() { finish(FinishReason::kCancelled); }

void Generation::fail(const Error& error) {
  completion_.error = error;
  finish(FinishReason::kError);
}

/// The bytes of an unfinished character, and what might have become a stop string.
void Generation::emit_held_text() {
  if (!decoder_ || stops_.stopped()) return;
  emit(stops_.feed(decoder_->finish()));
  if (!stops_.stopped()) emit(stops_.finish());
}

void Generation::finish(FinishReason reason) {
  emit_held_text();
  completion_.finish_reason = reason;
  completion_.usage.completion_tokens = static_cast<int64_t>(completion_.tokens.size());
  if (!callback_) return;
  StreamEvent event;
  event.id = id_;
  event.prompt_done = completion_.usage.prompt_tokens;
  event.completion = &completion_;
  callback_(event);
}

}  // namespace vortex
