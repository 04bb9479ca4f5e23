#include "model/decoder.h"

#include <algorithm>
#include <cmath>

#include "flow/flow.h"
#include "loader/rope.h"
#include "model/rank_group.h"

namespace vortex::model {

namespace {

struct LayerNormNames {
  std::string_view attention, attention_post, ffn, ffn_post;
};
constexpr LayerNormNames kPreNorms = {"input_layernorm.weight", "", "post_attention_layernorm.weight", ""};
constexpr LayerNormNames kSandwichNorms = {"input_layernorm.weight", "post_attention_layernorm.weight",
                                           "pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"};

}  // namespace

Result<std::unique_ptr<Decoder>> Decoder::load(ModelFiles& files, const Backend& backend,
                                               std::optional<Quantization> quantization) {
  std::unique_ptr<Decoder> decoder(new Decoder);
  decoder->config_ = files.config();
  decoder->backend_ = backend;
  const ModelConfig& config = decoder->config_;
  std::optional<WeightQuantizer> quantizer;
  if (quantization) quantizer.emplace(*quantization);
  const LoadContext context{&config, &files.weights(), backend, quantizer ? &*quantizer : nullptr};
  VORTEX_RETURN_IF_ERROR(decoder->load_weights(files, context));
  if (quantizer) quantizer->log_summary(files.path());
  files.release_pages();
  const auto make_rope = [&](const RopeConfig& rope) {
    return Rope{rope_inverse_frequencies(rope, config.head_dim), rope_attention_scale(rope), rope.interleaved, {}, {}};
  };
  decoder->rope_ = make_rope(config.rope);
  decoder->sliding_rope_ = make_rope(config.sliding_rope.value_or(config.rope));
  return decoder;
}

/// A layer's pages of the file go back when its weights are packed, so that the model is not in memory twice.
Status Decoder::load_weights(const ModelFiles& files, const LoadContext& context) {
  const int64_t vocab = config_.vocab_size, hidden = config_.hidden_size;
  VORTEX_ASSIGN_OR_RETURN(embedding_, context.weights->take("model.embed_tokens.weight", Shape{vocab, hidden}));
  for (int i = 0; i < config_.layers; ++i) {
    VORTEX_RETURN_IF_ERROR(load_layer(context, i));
    files.release_pages();
  }
  VORTEX_ASSIGN_OR_RETURN(final_norm_, context.norm("model.norm.weight", hidden));
  const int64_t head_rows = files.share() == nullptr ? vocab : files.share()->vocab.size();
  VORTEX_ASSIGN_OR_RETURN(lm_head_, context.head("lm_head.weight", head_rows, hidden));
  return context.weights->finish();
}

Status Decoder::load_layer(const LoadContext& context, int index) {
  Layer& layer = layers_.emplace_back();
  const LayerNormNames& names = config_.sandwich_norms ? kSandwichNorms : kPreNorms;
  const auto load = [&](std::string_view name, std::vector<float>* out) -> Status {
    if (name.empty()) return {};
    VORTEX_ASSIGN_OR_RETURN(*out, context.norm(layer_prefix(index).append(name), config_.hidden_size));
    return {};
  };
  VORTEX_RETURN_IF_ERROR(load(names.attention, &layer.attention_norm));
  VORTEX_RETURN_IF_ERROR(load(names.attention_post, &layer.attention_post_norm));
  VORTEX_RETURN_IF_ERROR(load(names.ffn, &layer.ffn_norm));
  VORTEX_RETURN_IF_ERROR(load(names.ffn_post, &layer.ffn_post_norm));
  VORTEX_ASSIGN_OR_RETURN(layer.blocks, build_layer(context, index));
  return {};
}

const StepResult& Decoder::forward(const Batch& batch, std::span<const PageView> pages, const Sparsity& sparsity,
                                   float* logits) {
  const auto elements = static_cast<size_t>(batch.tokens() * config_.hidden_size);
  hidden_.resize(elements);
  normed_.resize(elements);
  backend_.dense->embed(embedding_, batch.ids, hidden_.data());
  if (config_.embedding_scale != 1.0f)
    for (float& x : hidden_) x *= config_.embedding_scale;
  result_.clear(batch.decodes);
  rope_.prepare(batch.positions);
  if (config_.sliding_rope) sliding_rope_.prepare(batch.positions);
  prepare_lists(batch, pages[0], sparsity.active());
  for (int i = 0; i < config_.layers; ++i) {
    LayerStep step = layer_step(batch, pages[static_cast<size_t>(i)], sparsity, i);
    step.result = &result_;
    run_layer(layers_[static_cast<size_t>(i)], step);
    if (backend_.ranks != nullptr && !backend_.ranks->status().ok()) return result_;
  }
  write_logits(batch, logits);
  return result_;
}

LayerStep Decoder::layer_step(const Batch& batch, const PageView& pages, const Sparsity& sparsity, int index) {
  LayerStep step{.batch = &batch, .workspace = &workspace_, .pages = &pages};
  const bool sliding = config_.slides(index);
  step.angles = sliding && config_.sliding_rope ? sliding_rope_.angles() : rope_.angles();
  step.sparse = sparsity.active() && sparsity.layers[static_cast<size_t>(index)];
  step.flow = step.sparse ? sparsity.flow : nullptr;
  step.hook = step.sparse ? sparsity.hook : nullptr;
  step.completed_pages = completed_pages_;
  step.dense_list = &dense_list_;
  step.window_list = &window_list_;
  step.sparse_list = &sparse_list_;
  return step;
}

void Decoder::run_layer(Layer& layer, const LayerStep& step) {
  const int64_t tokens = step.batch->tokens(), width = config_.hidden_size;
  kernels::DenseOps& dense = *backend_.dense;
  const auto norm = [&](const std::vector<float>& weight) {
    dense.rms_norm(hidden_.data(), width, weight.data(), config_.rms_norm_eps, tokens, width, normed_.data());
  };
  // Blocks add to what they are given: the residual, or zeros where another norm or the other ranks come between.
  const bool apart = config_.sandwich_norms || backend_.ranks != nullptr;
  if (apart) block_out_.assign(hidden_.size(), 0.0f);
  float* out = apart ? block_out_.data() : hidden_.data();
  norm(layer.attention_norm);
  layer.blocks.attention->forward(step, normed_.data(), out);
  finish_block(layer.attention_post_norm, tokens);
  norm(layer.ffn_norm);
  layer.blocks.feed_forward->forward(step.workspace, normed_.data(), tokens, out);
  finish_block(layer.ffn_post_norm, tokens);
}

/// hidden += norm(sum of the ranks' block_out), and block_out is zeros again. Nothing to do where the block has added
/// to hidden itself.
void Decoder::finish_block(const std::vector<float>& post_norm, int64_t tokens) {
  if (backend_.ranks != nullptr) backend_.ranks->add_up(block_out_);
  if (post_norm.empty() && backend_.ranks == nullptr) return;
  const int64_t width = config_.hidden_size;
  if (!post_norm.empty())
    backend_.dense->rms_norm(block_out_.data(), width, post_norm.data(), config_.rms_norm_eps, tokens, width,
                             normed_.data());
  const std::vector<float>& added = post_norm.empty() ? block_out_ : normed_;
  for (size_t i = 0; i < hidden_.size(); ++i) hidden_[i] += added[i];
  std::fill(block_out_.begin(), block_out_.end(), 0.0f);
}

/// Angles in float32, as transformers computes them.
void Decoder::Rope::prepare(std::span<const int32_t> positions) {
  cos.clear();
  sin.clear();
  for (int32_t position : positions) {
    for (float frequency : inverse_frequencies) {
      const float angle = static_cast<float>(position) * frequency;
      cos.push_back(std::cos(angle) * scale);
      sin.push_back(std::sin(angle) * scale);
    }
  }
}

kernels::RopeAngles Decoder::Rope::angles() const {
  return {cos.data(), sin.data(), static_cast<int>(inverse_frequencies.size()), interleaved};
}

/// Page ids are the same in every layer, so lists are made once a step.
void Decoder::prepare_lists(const Batch& batch, const PageView& view, bool sparse) {
  completed_pages_.clear();
  if (sparse) list_completed_pages(batch, view, &completed_pages_);
  if (batch.decodes == 0) return;
  list_all_pages(batch.plan, view, &dense_list_);
  if (config_.sliding_window > 0) list_window_pages(batch.plan, view, config_.sliding_window, &window_list_);
  if (sparse) list_reserved_pages(batch.plan, view, &sparse_list_);
}

void Decoder::write_logits(const Batch& batch, float* logits) {
  if (batch.logit_tokens.empty()) return;
  const int64_t width = config_.hidden_size;
  last_.resize(batch.logit_tokens.size() * static_cast<size_t>(width));
  for (size_t i = 0; i < batch.logit_tokens.size(); ++i) {
    backend_.dense->rms_norm(&hidden_[static_cast<size_t>(batch.logit_tokens[i] * width)], width, final_norm_.data(),
                             config_.rms_norm_eps, 1, width, &last_[i * static_cast<size_t>(width)]);
  }
  const kernels::Product product{lm_head_.get(), logits, lm_head_->rows()};
  backend_.dense->matmul(last_.data(), static_cast<int64_t>(batch.logit_tokens.size()), {&product, 1});
}

}  // namespace vortex::model
