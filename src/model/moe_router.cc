#include "model/moe_router.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/quant_blocks.h"

namespace vortex::model {
namespace {

constexpr float kTaken = -std::numeric_limits<float>::infinity();
constexpr float kLowest = std::numeric_limits<float>::lowest();

/// The index of the largest value, the lowest of equal ones; marks it as taken.
size_t take_best(std::span<float> values) {
  const auto best = std::max_element(values.begin(), values.end());
  *best = kTaken;
  return static_cast<size_t>(best - values.begin());
}

void softmax(std::span<float> values) {
  const float largest = *std::max_element(values.begin(), values.end());
  float sum = 0.0f;
  for (float& value : values) sum += value = std::exp(value - largest);
  for (float& value : values) value /= sum;
}

/// The router's product is as exact as float32 sums are: weights in blocks would quantise the input.
Result<std::unique_ptr<kernels::Matrix>> exact_matrix(const LoadContext& context, const std::string& name, int64_t rows,
                                                      int64_t cols) {
  VORTEX_ASSIGN_OR_RETURN(const TensorView view, context.weights->take(name, Shape{rows, cols}));
  if (!is_quantized(view.dtype)) return context.as_stored(name, view);
  TensorView exact{nullptr, DType::kF32, view.shape};
  auto memory = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(exact.bytes()));
  dequantize(view.dtype, view.data, reinterpret_cast<float*>(memory.get()), rows * cols);
  exact.data = memory.get();
  return context.backend.dense->prepare_owned(exact, std::move(memory));
}

}  // namespace

MoeRouter::MoeRouter(const LoadContext& context)
    : dense_(context.backend.dense),
      config_(context.config->moe),
      scores_(static_cast<size_t>(config_.experts)),
      choice_(scores_.size()),
      group_scores_(static_cast<size_t>(config_.groups)),
      group_taken_(group_scores_.size()) {
  VORTEX_CHECK(config_.groups >= 1 && config_.experts % config_.groups == 0, "{} experts in {} groups", config_.experts,
               config_.groups);
  VORTEX_CHECK(config_.top_groups <= config_.groups &&
                   config_.experts_per_token <= config_.experts / config_.groups * config_.top_groups,
               "{} of {} experts", config_.experts_per_token, config_.experts);
}

Result<std::unique_ptr<MoeRouter>> MoeRouter::load(const LoadContext& context, const std::string& prefix) {
  std::unique_ptr<MoeRouter> router(new MoeRouter(context));
  const MoeConfig& config = router->config_;
  VORTEX_ASSIGN_OR_RETURN(router->gate_,
                          exact_matrix(context, prefix + "gate.weight", config.experts, context.config->hidden_size));
  if (config.router_bias) {
    VORTEX_ASSIGN_OR_RETURN(router->bias_, context.vector(prefix + "gate.bias", config.experts));
  }
  if (config.selection_bias) {
    VORTEX_ASSIGN_OR_RETURN(router->selection_bias_,
                            context.vector(prefix + "gate.e_score_correction_bias", config.experts));
  }
  return router;
}

void MoeRouter::route(Workspace* workspace, const float* h, int64_t tokens, int32_t* experts, float* weights) {
  float* logits = workspace->floats(0, tokens * config_.experts);
  const kernels::Product product{gate_.get(), logits, config_.experts, data_or_null(bias_)};
  dense_->matmul(h, tokens, {&product, 1});
  const int per_token = config_.experts_per_token;
  for (int64_t t = 0; t < tokens; ++t)
    choose(logits + t * config_.experts, experts + t * per_token, weights + t * per_token);
}

void MoeRouter::choose(const float* logits, int32_t* experts, float* weights) {
  score(logits);
  // A NaN is nobody's choice, but experts_per_token experts are found all the same: its weight ends the request.
  for (size_t e = 0; e < scores_.size(); ++e)
    choice_[e] = std::max(kLowest, scores_[e] + (selection_bias_.empty() ? 0.0f : selection_bias_[e]));
  if (config_.top_groups < config_.groups) exclude_groups();
  for (int i = 0; i < config_.experts_per_token; ++i) experts[i] = static_cast<int32_t>(take_best(choice_));
  std::sort(experts, experts + config_.experts_per_token);
  weigh(experts, logits, weights);
}

void MoeRouter::score(const float* logits) {
  std::copy_n(logits, scores_.size(), scores_.begin());
  if (config_.scoring == MoeConfig::Scoring::kSoftmax) softmax(scores_);
  if (config_.scoring == MoeConfig::Scoring::kSigmoid)
    for (float& score : scores_) score = 1.0f / (1.0f + std::exp(-score));
}

void MoeRouter::exclude_groups() {
  for (int g = 0; g < config_.groups; ++g) group_scores_[static_cast<size_t>(g)] = group_score(g);
  std::fill(group_taken_.begin(), group_taken_.end(), 0);
  for (int i = 0; i < config_.top_groups; ++i) group_taken_[take_best(group_scores_)] = 1;
  const size_t size = choice_.size() / group_taken_.size();
  for (size_t e = 0; e < choice_.size(); ++e)
    if (!group_taken_[e / size]) choice_[e] = kTaken;
}

float MoeRouter::group_score(int group) const {
  const int size = config_.experts / config_.groups;
  const auto first = choice_.begin() + group * size;
  float best = kLowest, second = kLowest;
  for (auto choice = first; choice != first + size; ++choice) {
    second = std::max(second, std::min(best, *choice));
    best = std::max(best, *choice);
  }
  const bool both = config_.group_score == MoeConfig::GroupScore::kTop2Sum;
  return std::max(kLowest, both ? best + second : best);
}

void MoeRouter::weigh(const int32_t* experts, const float* logits, float* weights) const {
  const std::span chosen(weights, static_cast<size_t>(config_.experts_per_token));
  const bool by_logits = config_.scoring == MoeConfig::Scoring::kTopKSoftmax;
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = by_logits ? logits[experts[i]] : scores_[experts[i]];
  if (by_logits) softmax(chosen);
  float sum = config_.normalize_epsilon;
  for (const float weight : chosen) sum += weight;
  for (float& weight : chosen) weight = (config_.normalize ? weight / sum : weight) * config_.routed_scale;
}

}  // namespace vortex::model
