#include "model/decoder.h"

#include <cmath>

#include "flow/flow.h"
#include "loader/rope.h"

namespace vortex::model {

Result<std::unique_ptr<Decoder>> Decoder::load(ModelFiles& files, const Backend& backend) {
  std::unique_ptr<Decoder> decoder(new Decoder);
  decoder->config_ = files.config();
  decoder->backend_ = backend;
  VORTEX_RETURN_IF_ERROR(decoder->load_weights(files.weights()));
  files.release_pages();
  decoder->inverse_frequencies_ = rope_inverse_frequencies(decoder->config_.rope, decoder->config_.head_dim);
  decoder->rope_scale_ = rope_attention_scale(decoder->config_.rope);
  return decoder;
}

Status Decoder::load_weights(WeightMap& weights) {
  const LoadContext context{&config_, &weights, backend_};
  VORTEX_ASSIGN_OR_RETURN(const LayerBuilder build, find_layer_builder(config_));
  const int64_t vocab = config_.vocab_size, hidden = config_.hidden_size;
  VORTEX_ASSIGN_OR_RETURN(embedding_, weights.take("model.embed_tokens.weight", Shape{vocab, hidden}));
  for (int i = 0; i < config_.layers; ++i) {
    Layer& layer = layers_.emplace_back();
    VORTEX_ASSIGN_OR_RETURN(layer.attention_norm, context.vector(layer_prefix(i) + "input_layernorm.weight", hidden));
    VORTEX_ASSIGN_OR_RETURN(layer.ffn_norm,
                            context.vector(layer_prefix(i) + "post_attention_layernorm.weight", hidden));
    VORTEX_ASSIGN_OR_RETURN(layer.blocks, build(context, i));
  }
  VORTEX_ASSIGN_OR_RETURN(final_norm_, context.vector("model.norm.weight", hidden));
  VORTEX_ASSIGN_OR_RETURN(lm_head_, context.matrix("lm_head.weight", vocab, hidden));
  return weights.finish();
}

std::vector<FieldSpec> Decoder::kv_fields(int page_tokens, DType dtype) const {
  return {{"k", page_tokens, config_.head_dim, dtype}, {"v", page_tokens, config_.head_dim, dtype}};
}

StepResult Decoder::forward(const Batch& batch, std::span<const PageView> pages, const Sparsity& sparsity,
                            float* logits) {
  const auto elements = static_cast<size_t>(batch.tokens() * config_.hidden_size);
  hidden_.resize(elements);
  normed_.resize(elements);
  backend_.dense->embed(embedding_, batch.ids, hidden_.data());
  StepResult result;
  result.pages_read.assign(static_cast<size_t>(batch.decodes), 0);
  prepare_angles(batch);
  prepare_lists(batch, pages[0], sparsity.active());
  for (size_t i = 0; i < layers_.size(); ++i) {
    LayerStep step{.batch = &batch, .workspace = &workspace_, .pages = &pages[i]};
    step.angles = {cos_.data(), sin_.data(), static_cast<int>(inverse_frequencies_.size()), config_.rope.interleaved};
    step.sparse = sparsity.active() && sparsity.layers[i];
    step.flow = step.sparse ? sparsity.flow : nullptr;
    step.hook = step.sparse ? sparsity.hook : nullptr;
    step.completed_pages = completed_pages_;
    step.dense_list = &dense_list_;
    step.sparse_list = &sparse_list_;
    step.result = &result;
    run_layer(layers_[i], step);
  }
  write_logits(batch, logits);
  return result;
}

void Decoder::run_layer(Layer& layer, const LayerStep& step) {
  const int64_t tokens = step.batch->tokens(), width = config_.hidden_size;
  kernels::DenseOps& dense = *backend_.dense;
  dense.rms_norm(hidden_.data(), width, layer.attention_norm.data(), config_.rms_norm_eps, tokens, width,
                 normed_.data());
  layer.blocks.attention->forward(step, normed_.data(), hidden_.data());
  dense.rms_norm(hidden_.data(), width, layer.ffn_norm.data(), config_.rms_norm_eps, tokens, width, normed_.data());
  layer.blocks.feed_forward->forward(step.workspace, normed_.data(), tokens, hidden_.data());
}

/// Angles in float32, as transformers computes them.
void Decoder::prepare_angles(const Batch& batch) {
  cos_.clear();
  sin_.clear();
  for (int32_t position : batch.positions) {
    for (float frequency : inverse_frequencies_) {
      const float angle = static_cast<float>(position) * frequency;
      cos_.push_back(std::cos(angle) * rope_scale_);
      sin_.push_back(std::sin(angle) * rope_scale_);
    }
  }
}

/// Page ids are the same in every layer, so lists are made once a step.
void Decoder::prepare_lists(const Batch& batch, const PageView& view, bool sparse) {
  completed_pages_.clear();
  if (sparse) list_completed_pages(batch, view, &completed_pages_);
  if (batch.decodes == 0) return;
  list_all_pages(batch.plan, view, &dense_list_);
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
