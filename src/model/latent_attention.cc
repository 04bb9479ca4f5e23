#include "model/latent_attention.h"

#include <algorithm>
#include <cstring>

#include "model/layer_builder.h"
#include "model/paged_decode.h"

namespace vortex::model {
namespace {

// The norms inside the projections have an epsilon of their own, whatever rms_norm_eps says (transformers).
constexpr float kInnerEps = 1e-6f;
// Keys and values made at once; more heads at a time mean fewer passes over the latents.
constexpr int64_t kExpandedFloats = 8 << 20;
// Latents that are widened and expanded at once: they stay in the second-level cache.
constexpr int64_t kTile = 256;

/// Workspace slots of this block.
enum Slot { kQueries, kLatents, kMixed, kAbsorbed, kAttended, kScratch, kExpanded };

}  // namespace

Result<std::unique_ptr<AttentionBlock>> LatentAttention::load(const LoadContext& context, int layer) {
  const ModelConfig& c = *context.config;
  const std::string prefix = layer_prefix(layer) + "self_attn.";
  std::unique_ptr<LatentAttention> block(new LatentAttention);
  block->backend_ = context.backend;
  block->mla_ = c.mla;
  block->heads_count_ = c.heads;
  block->shape_ = {.group = c.heads, .scale = attention_scale(c), .latent_rank = c.mla.kv_lora_rank};
  VORTEX_RETURN_IF_ERROR(block->load_projections(context, prefix));
  VORTEX_RETURN_IF_ERROR(context.weights->contains(prefix + "k_b_proj.weight")
                             ? block->load_split_heads(context, prefix)
                             : block->load_heads(context, prefix));
  return std::unique_ptr<AttentionBlock>(std::move(block));
}

Status LatentAttention::load_projections(const LoadContext& context, const std::string& prefix) {
  const ModelConfig& c = *context.config;
  const int64_t hidden = c.hidden_size, low = mla_.q_lora_rank;
  if (low > 0) {
    VORTEX_ASSIGN_OR_RETURN(q_a_, context.matrix(prefix + "q_a_proj.weight", low, hidden));
    VORTEX_ASSIGN_OR_RETURN(q_a_norm_, context.norm(prefix + "q_a_layernorm.weight", low));
    VORTEX_ASSIGN_OR_RETURN(q_, context.matrix(prefix + "q_b_proj.weight", query_width(), low));
  } else {
    VORTEX_ASSIGN_OR_RETURN(q_, context.matrix(prefix + "q_proj.weight", query_width(), hidden));
  }
  VORTEX_ASSIGN_OR_RETURN(kv_a_, context.matrix(prefix + "kv_a_proj_with_mqa.weight", latent_dim(), hidden));
  VORTEX_ASSIGN_OR_RETURN(kv_a_norm_, context.norm(prefix + "kv_a_layernorm.weight", mla_.kv_lora_rank));
  VORTEX_ASSIGN_OR_RETURN(o_, context.matrix(prefix + "o_proj.weight", hidden, value_width()));
  if (c.qkv_bias && low > 0) {
    VORTEX_ASSIGN_OR_RETURN(q_a_bias_, context.vector(prefix + "q_a_proj.bias", low));
  }
  if (c.qkv_bias) {
    VORTEX_ASSIGN_OR_RETURN(kv_a_bias_, context.vector(prefix + "kv_a_proj_with_mqa.bias", latent_dim()));
  }
  if (c.o_bias) {
    VORTEX_ASSIGN_OR_RETURN(o_bias_, context.vector(prefix + "o_proj.bias", hidden));
  }
  return {};
}

/// kv_b_proj holds, head after head, the rows of K_h and of V_h.
Status LatentAttention::load_heads(const LoadContext& context, const std::string& prefix) {
  const std::string name = prefix + "kv_b_proj.weight";
  const Shape shape{int64_t{heads_count_} * expanded_dim(), mla_.kv_lora_rank};
  VORTEX_ASSIGN_OR_RETURN(const TensorView all, context.weights->take(name, shape));
  for (int h = 0; h < heads_count_; ++h) {
    const int64_t first = int64_t{h} * expanded_dim();
    const TensorView key = row_range(all, first, mla_.qk_nope_head_dim);
    Head& head = heads_.emplace_back();
    VORTEX_ASSIGN_OR_RETURN(head.key, context.prepared(name, key));
    VORTEX_ASSIGN_OR_RETURN(head.absorb, context.transposed(name, key));
    VORTEX_ASSIGN_OR_RETURN(head.value,
                            context.prepared(name, row_range(all, first + mla_.qk_nope_head_dim, mla_.v_head_dim)));
  }
  return {};
}

/// GGUF files of today store each K_h transposed and apart from V_h.
Status LatentAttention::load_split_heads(const LoadContext& context, const std::string& prefix) {
  const std::string key_name = prefix + "k_b_proj.weight", value_name = prefix + "v_b_proj.weight";
  const int64_t count = heads_count_, rank = mla_.kv_lora_rank;
  VORTEX_ASSIGN_OR_RETURN(const TensorView keys,
                          context.weights->take(key_name, Shape{count, rank, mla_.qk_nope_head_dim}));
  VORTEX_ASSIGN_OR_RETURN(const TensorView values,
                          context.weights->take(value_name, Shape{count, mla_.v_head_dim, rank}));
  for (int64_t h = 0; h < count; ++h) {
    const TensorView key = matrix_at(keys, h);
    Head& head = heads_.emplace_back();
    VORTEX_ASSIGN_OR_RETURN(head.absorb, context.prepared(key_name, key));
    VORTEX_ASSIGN_OR_RETURN(head.key, context.transposed(key_name, key));
    VORTEX_ASSIGN_OR_RETURN(head.value, context.prepared(value_name, matrix_at(values, h)));
  }
  return {};
}

void LatentAttention::forward(const LayerStep& step, const float* h, float* x) {
  project(step, h);
  attend(step);
  const kernels::Product output{o_.get(), x, o_->rows(), data_or_null(o_bias_), /*accumulate=*/true};
  backend_.dense->matmul(buffers_.mixed, step.batch->tokens(), {&output, 1});
}

void LatentAttention::project(const LayerStep& step, const float* h) {
  const int64_t tokens = step.batch->tokens();
  buffers_.queries = step.workspace->floats(kQueries, tokens * query_width());
  buffers_.latents = step.workspace->floats(kLatents, tokens * latent_dim());
  buffers_.mixed = step.workspace->floats(kMixed, tokens * value_width());
  project_queries(step, h);
  project_latents(step, h);
}

void LatentAttention::project_queries(const LayerStep& step, const float* h) {
  const int64_t tokens = step.batch->tokens();
  kernels::DenseOps& dense = *backend_.dense;
  if (q_a_ != nullptr) {
    const int64_t low = q_a_->rows();
    float* inner = step.workspace->floats(kScratch, tokens * low);
    const kernels::Product down{q_a_.get(), inner, low, data_or_null(q_a_bias_)};
    dense.matmul(h, tokens, {&down, 1});
    dense.rms_norm(inner, low, q_a_norm_.data(), kInnerEps, tokens, low, inner);
    h = inner;
  }
  const kernels::Product up{q_.get(), buffers_.queries, query_width()};
  dense.matmul(h, tokens, {&up, 1});
  dense.rope(buffers_.queries + mla_.qk_nope_head_dim, tokens, query_width(), heads_count_, query_dim(), step.angles);
}

void LatentAttention::project_latents(const LayerStep& step, const float* h) {
  const int64_t tokens = step.batch->tokens(), rank = mla_.kv_lora_rank, width = latent_dim();
  kernels::DenseOps& dense = *backend_.dense;
  const kernels::Product product{kv_a_.get(), buffers_.latents, width, data_or_null(kv_a_bias_)};
  dense.matmul(h, tokens, {&product, 1});
  float* normed = step.workspace->floats(kScratch, tokens * rank);
  dense.rms_norm(buffers_.latents, width, kv_a_norm_.data(), kInnerEps, tokens, rank, normed);
  for (int64_t t = 0; t < tokens; ++t)
    std::memcpy(buffers_.latents + t * width, normed + t * rank, static_cast<size_t>(rank) * sizeof(float));
  dense.rope(buffers_.latents + rank, tokens, width, 1, mla_.qk_rope_head_dim, step.angles);
}

/// Order of a step (spec/mla.md 4): store, summarise completed pages, select, attend.
void LatentAttention::attend(const LayerStep& step) {
  const Batch& batch = *step.batch;
  int64_t token = 0;
  for (const attention::TokenSlice& slice : batch.slices) {
    backend_.attention->store(*step.pages, slice, buffers_.latents + token * latent_dim(), nullptr, latent_dim());
    token += slice.count;
  }
  update_fields(step);
  if (batch.decodes > 0) {
    reserve_absorbed(step, batch.decodes);
    absorb_queries(buffers_.queries, batch.decodes);
    decode_rows(step, backend_, shape_, buffers_.absorbed, buffers_.attended);
    apply_values(batch.decodes, buffers_.mixed);
  }
  token = batch.decodes;
  for (const attention::TokenSlice& slice : batch.prompt_slices()) {
    if (absorbing_is_cheaper(slice.count))
      prefill_absorbed(step, slice, token);
    else
      prefill_expanded(step, slice, token);
    token += slice.count;
  }
}

void LatentAttention::reserve_absorbed(const LayerStep& step, int64_t tokens) {
  buffers_.absorbed = step.workspace->floats(kAbsorbed, tokens * heads_count_ * latent_dim());
  buffers_.attended = step.workspace->floats(kAttended, tokens * heads_count_ * mla_.kv_lora_rank);
}

/// absorbed[t, h] = [K_h^T q_nope | q_pe].
void LatentAttention::absorb_queries(const float* queries, int64_t tokens) {
  const int64_t row = int64_t{heads_count_} * latent_dim();
  products_.clear();
  groups_.clear();
  for (size_t h = 0; h < heads_.size(); ++h)
    products_.push_back({heads_[h].absorb.get(), buffers_.absorbed + static_cast<int64_t>(h) * latent_dim(), row});
  for (size_t h = 0; h < heads_.size(); ++h)
    groups_.push_back(
        {queries + static_cast<int64_t>(h) * query_dim(), query_width(), tokens, std::span(products_).subspan(h, 1)});
  backend_.dense->matmul(groups_);
  const auto rope_bytes = static_cast<size_t>(mla_.qk_rope_head_dim) * sizeof(float);
  for (int64_t head = 0; head < tokens * heads_count_; ++head)
    std::memcpy(buffers_.absorbed + head * latent_dim() + mla_.kv_lora_rank,
                queries + head * query_dim() + mla_.qk_nope_head_dim, rope_bytes);
}

/// mixed[t, h] = V_h attended[t, h].
void LatentAttention::apply_values(int64_t tokens, float* mixed) {
  const int64_t rank = mla_.kv_lora_rank;
  products_.clear();
  groups_.clear();
  for (size_t h = 0; h < heads_.size(); ++h)
    products_.push_back({heads_[h].value.get(), mixed + static_cast<int64_t>(h) * mla_.v_head_dim, value_width()});
  for (size_t h = 0; h < heads_.size(); ++h)
    groups_.push_back({buffers_.attended + static_cast<int64_t>(h) * rank, heads_count_ * rank, tokens,
                       std::span(products_).subspan(h, 1)});
  backend_.dense->matmul(groups_);
}

/// Expanding costs the same however few tokens look at it: multiplications a cached token and head, both ways. A rule
/// of the chunk's length alone, so that a chunk takes the same way at any context.
bool LatentAttention::absorbing_is_cheaper(int64_t new_tokens) const {
  const int64_t expanding = int64_t{expanded_dim()} * mla_.kv_lora_rank;
  const int64_t saved = latent_dim() + mla_.kv_lora_rank - query_dim() - mla_.v_head_dim;
  return new_tokens * saved <= expanding;
}

void LatentAttention::prefill_absorbed(const LayerStep& step, const attention::TokenSlice& slice, int64_t token) {
  reserve_absorbed(step, slice.count);
  absorb_queries(buffers_.queries + token * query_width(), slice.count);
  backend_.attention->prefill(*step.pages, slice, shape_, buffers_.absorbed, int64_t{heads_count_} * latent_dim(),
                              buffers_.attended, int64_t{heads_count_} * mla_.kv_lora_rank);
  apply_values(slice.count, buffers_.mixed + token * value_width());
}

/// Heads are taken in groups of about equal size whose keys and values fit a bounded buffer.
void LatentAttention::prefill_expanded(const LayerStep& step, const attention::TokenSlice& slice, int64_t token) {
  const int64_t tokens = slice.first + slice.count;
  const int64_t passes = std::clamp<int64_t>(
      (tokens * heads_count_ * expanded_dim() + kExpandedFloats - 1) / kExpandedFloats, 1, heads_count_);
  const int heads = static_cast<int>((heads_count_ + passes - 1) / passes);
  const int64_t stride = int64_t{heads} * expanded_dim();
  float* expanded = step.workspace->floats(kExpanded, tokens * stride);
  for (int first = 0; first < heads_count_; first += heads) {
    const attention::ExpandedHeads made{expanded, stride, std::min(heads, heads_count_ - first), mla_.qk_nope_head_dim,
                                        mla_.v_head_dim};
    expand(step, slice, std::span(heads_).subspan(static_cast<size_t>(first), static_cast<size_t>(made.heads)), stride,
           expanded);
    backend_.attention->prefill_expanded(
        *step.pages, slice, shape_, made, buffers_.queries + token * query_width() + int64_t{first} * query_dim(),
        query_width(), buffers_.mixed + token * value_width() + int64_t{first} * mla_.v_head_dim, value_width());
  }
}

/// From the rows as the cache holds them, so that both ways see the same rounded latents.
void LatentAttention::expand(const LayerStep& step, const attention::TokenSlice& slice, std::span<const Head> heads,
                             int64_t stride, float* out) {
  const int64_t tokens = slice.first + slice.count;
  float* latents = step.workspace->floats(kScratch, kTile * mla_.kv_lora_rank);
  for (int64_t first = 0; first < tokens; first += kTile) {
    const int64_t count = std::min(kTile, tokens - first);
    backend_.attention->load(*step.pages, {slice.table, first, count}, mla_.kv_lora_rank, latents);
    products_.clear();
    float* at = out + first * stride;
    for (const Head& head : heads) {
      products_.push_back({head.key.get(), at, stride});
      products_.push_back({head.value.get(), at + mla_.qk_nope_head_dim, stride});
      at += expanded_dim();
    }
    backend_.dense->matmul(latents, count, products_);
  }
}

}  // namespace vortex::model
