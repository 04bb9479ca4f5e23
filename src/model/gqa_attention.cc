#include "model/gqa_attention.h"

#include <cmath>

#include "flow/flow.h"
#include "model/layer_builder.h"
#include "model/rank_group.h"

namespace vortex::model {
namespace {

float sum_of_squares(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return static_cast<float>(sum);
}

void scale_by(const std::vector<float>& weight, float scale, float* x) {
  for (size_t i = 0; i < weight.size(); ++i) x[i] *= weight[i] * scale;
}

}  // namespace

Result<std::unique_ptr<AttentionBlock>> GqaAttention::load(const LoadContext& context, int layer) {
  const ModelConfig& c = *context.config;
  const std::string prefix = layer_prefix(layer) + "self_attn.";
  std::unique_ptr<GqaAttention> block(new GqaAttention);
  block->backend_ = context.backend;
  block->heads_ = c.heads;
  block->kv_heads_ = c.kv_heads;
  block->head_dim_ = c.head_dim;
  block->eps_ = c.rms_norm_eps;
  block->qk_norm_ = c.qk_norm;
  const int64_t q_width = int64_t{c.heads} * c.head_dim, kv_width = int64_t{c.kv_heads} * c.head_dim;
  VORTEX_ASSIGN_OR_RETURN(block->q_, context.matrix(prefix + "q_proj.weight", q_width, c.hidden_size));
  VORTEX_ASSIGN_OR_RETURN(block->k_, context.matrix(prefix + "k_proj.weight", kv_width, c.hidden_size));
  VORTEX_ASSIGN_OR_RETURN(block->v_, context.matrix(prefix + "v_proj.weight", kv_width, c.hidden_size));
  VORTEX_ASSIGN_OR_RETURN(block->o_, context.matrix(prefix + "o_proj.weight", c.hidden_size, q_width));
  VORTEX_RETURN_IF_ERROR(block->load_biases(context, prefix));
  VORTEX_RETURN_IF_ERROR(block->load_norms(context, prefix));
  block->shape_ = {.group = c.heads / c.kv_heads,
                   .scale = attention_scale(c),
                   .window = c.slides(layer) ? c.sliding_window : 0,
                   .sinks = data_or_null(block->sinks_)};
  return std::unique_ptr<AttentionBlock>(std::move(block));
}

Status GqaAttention::load_biases(const LoadContext& context, const std::string& prefix) {
  if (context.config->qkv_bias) {
    VORTEX_ASSIGN_OR_RETURN(q_bias_, context.vector(prefix + "q_proj.bias", q_->rows()));
    VORTEX_ASSIGN_OR_RETURN(k_bias_, context.vector(prefix + "k_proj.bias", k_->rows()));
    VORTEX_ASSIGN_OR_RETURN(v_bias_, context.vector(prefix + "v_proj.bias", v_->rows()));
  }
  if (context.config->o_bias) {
    VORTEX_ASSIGN_OR_RETURN(o_bias_, context.vector(prefix + "o_proj.bias", o_->rows()));
  }
  return {};
}

Status GqaAttention::load_norms(const LoadContext& context, const std::string& prefix) {
  if (context.config->attention_sinks) {
    VORTEX_ASSIGN_OR_RETURN(sinks_, context.vector(prefix + "sinks", heads_));
  }
  if (qk_norm_ == QkNorm::kNone) return {};
  const bool all = qk_norm_ == QkNorm::kAll;
  VORTEX_ASSIGN_OR_RETURN(q_norm_, context.norm(prefix + "q_norm.weight", all ? q_->rows() : head_dim_));
  VORTEX_ASSIGN_OR_RETURN(k_norm_, context.norm(prefix + "k_norm.weight", all ? k_->rows() : head_dim_));
  return {};
}

void GqaAttention::forward(const LayerStep& step, const float* h, float* x) {
  project(step, h);
  attend(step);
  const kernels::Product output{o_.get(), x, o_->rows(), data_or_null(o_bias_), /*accumulate=*/true};
  backend_.dense->matmul(mixed_, step.batch->tokens(), {&output, 1});
}

void GqaAttention::project(const LayerStep& step, const float* h) {
  const int64_t tokens = step.batch->tokens(), q_width = q_->rows(), kv_width = k_->rows();
  queries_ = step.workspace->floats(0, tokens * q_width);
  keys_ = step.workspace->floats(1, tokens * kv_width);
  values_ = step.workspace->floats(2, tokens * kv_width);
  mixed_ = step.workspace->floats(3, tokens * q_width);
  const kernels::Product products[] = {{q_.get(), queries_, q_width, data_or_null(q_bias_)},
                                       {k_.get(), keys_, kv_width, data_or_null(k_bias_)},
                                       {v_.get(), values_, kv_width, data_or_null(v_bias_)}};
  kernels::DenseOps& dense = *backend_.dense;
  dense.matmul(h, tokens, products);
  if (qk_norm_ == QkNorm::kAll && backend_.ranks != nullptr) {
    norm_across_ranks(tokens);
  } else {
    norm_heads(queries_, tokens, heads_, q_norm_);
    norm_heads(keys_, tokens, kv_heads_, k_norm_);
  }
  dense.rope(queries_, tokens, q_width, heads_, head_dim_, step.angles);
  dense.rope(keys_, tokens, kv_width, kv_heads_, head_dim_, step.angles);
}

void GqaAttention::norm_heads(float* x, int64_t tokens, int heads, const std::vector<float>& weight) const {
  if (qk_norm_ == QkNorm::kNone) return;
  const int64_t rows = qk_norm_ == QkNorm::kAll ? tokens : tokens * heads;
  const int64_t cols = tokens * heads * head_dim_ / rows;
  backend_.dense->rms_norm(x, cols, weight.data(), eps_, rows, cols, x);
}

/// The norm of all heads together, which are on several ranks: their squares are added up first. Of ranks that hold the
/// same kv heads one counts.
void GqaAttention::norm_across_ranks(int64_t tokens) {
  const RankShare& share = backend_.ranks->share();
  const int64_t q_width = q_->rows(), kv_width = k_->rows();
  const bool counts = share.rank % share.replicas == 0;
  squares_.clear();
  for (int64_t t = 0; t < tokens; ++t) {
    squares_.push_back(sum_of_squares(queries_ + t * q_width, q_width));
    squares_.push_back(counts ? sum_of_squares(keys_ + t * kv_width, kv_width) : 0.0f);
  }
  backend_.ranks->add_up(squares_);
  const auto inverse = [&](float squares, int heads) {
    return 1.0f / std::sqrt(squares / static_cast<float>(heads * head_dim_) + eps_);
  };
  for (int64_t t = 0; t < tokens; ++t) {
    const float* squares = &squares_[static_cast<size_t>(2 * t)];
    scale_by(q_norm_, inverse(squares[0], backend_.ranks->whole_heads()), queries_ + t * q_width);
    scale_by(k_norm_, inverse(squares[1], backend_.ranks->whole_kv_heads()), keys_ + t * kv_width);
  }
}

/// Order of a step (spec/planner.md 8): store, summarise completed pages, select, attend.
void GqaAttention::attend(const LayerStep& step) {
  const Batch& batch = *step.batch;
  const int64_t q_width = q_->rows(), kv_width = k_->rows();
  int64_t token = 0;
  for (const attention::TokenSlice& slice : batch.slices) {
    backend_.attention->store(*step.pages, slice, keys_ + token * kv_width, values_ + token * kv_width, kv_width);
    token += slice.count;
  }
  update_fields(step);
  decode_rows(step, backend_, shape_, queries_, mixed_);
  token = batch.decodes;
  for (const attention::TokenSlice& slice : batch.prompt_slices()) {
    const int64_t first = token * q_width;
    backend_.attention->prefill(*step.pages, slice, shape_, queries_ + first, q_width, mixed_ + first, q_width);
    token += slice.count;
  }
}

}  // namespace vortex::model
