#include "engine/queued_runner.h"

#include <algorithm>
#include <cmath>

#include "sample/sampler.h"

namespace vortex::testing {
namespace {

/// By the definition of TokenDraw, without its filters.
int32_t draw_token(std::span<const float> logits, const model::TokenDraw& draw) {
  VORTEX_CHECK(draw.top_k == 0 && draw.top_p == 1 && draw.min_p == 0);
  const int32_t best = sample::argmax(logits);
  if (draw.temperature == 0) return best;
  std::vector<double> weights;
  double remaining = 0;
  for (float x : logits) {
    weights.push_back(std::exp((static_cast<double>(x) - logits[static_cast<size_t>(best)]) / draw.temperature));
    remaining += weights.back();
  }
  remaining *= draw.uniform;
  for (size_t i = 0; i < weights.size(); ++i)
    if ((remaining -= weights[i]) < 0) return static_cast<int32_t>(i);
  return static_cast<int32_t>(weights.size()) - 1;
}

/// The batch with the tokens that only the device knew; any will do for a sequence that failed.
model::Batch with_tokens(model::Batch batch, std::span<const int32_t> last_tokens) {
  for (size_t i = 0; i < batch.draw_of.size(); ++i)
    if (batch.draw_of[i] >= 0) batch.ids[i] = std::max(last_tokens[static_cast<size_t>(batch.draw_of[i])], int32_t{0});
  batch.draw_of.clear();
  batch.draws.clear();
  return batch;
}

}  // namespace

Status QueuedRunner::launch(const model::Batch& batch, model::SelectionHook* hook) {
  VORTEX_CHECK(flights_.size() < 2, "too many steps under way");
  launched_ahead_ += flights_.empty() ? 0 : 1;
  const auto vocab = static_cast<size_t>(config().vocab_size);
  const model::Batch whole = with_tokens(batch, last_tokens_);
  auto flight = std::make_unique<Flight>();
  flight->logits.resize(batch.logit_tokens.size() * vocab);
  flight->draws = batch.draws;
  VORTEX_RETURN_IF_ERROR(inner_->launch(whole, hook));
  VORTEX_ASSIGN_OR_RETURN(const model::StepResult* result, inner_->finish(flight->logits.data()));
  flight->result = *result;
  last_tokens_.assign(batch.logit_tokens.size(), model::kHostLogits);
  for (size_t row = 0; row < batch.draws.size(); ++row)
    if (batch.draws[row].on_device)
      last_tokens_[row] = corrupt_next_
                              ? model::kCorruptedLogits
                              : draw_token(std::span(flight->logits).subspan(row * vocab, vocab), batch.draws[row]);
  corrupt_next_ = false;
  flight->result.tokens = last_tokens_;
  flights_.push_back(std::move(flight));
  return {};
}

Result<const model::StepResult*> QueuedRunner::finish(float* logits) {
  VORTEX_CHECK(!flights_.empty(), "no step was launched");
  finished_ = std::move(flights_.front());
  flights_.pop_front();
  const auto vocab = static_cast<size_t>(config().vocab_size);
  for (size_t row = 0; row * vocab < finished_->logits.size(); ++row)
    if (finished_->draws.empty() || !finished_->draws[row].on_device)
      std::copy_n(finished_->logits.data() + row * vocab, vocab, logits + row * vocab);
  return &finished_->result;
}

}  // namespace vortex::testing
