#include "model/gqa_attention.h"

#include <chrono>
#include <cmath>

#include "flow/flow.h"

namespace vortex::model {
Result<std::unique_ptr<AttentionBlock>> GqaAttention::load(const LoadContext& context, const std::string& prefix,
                                                           const GqaOptions& options) {
  const ModelConfig& c = *context.config;
  std::unique_ptr<GqaAttention> block(new GqaAttention);
  block->backend_ = context.backend;
  block->heads_ = c.heads;
  block->kv_heads_ = c.kv_heads;
  block->head_dim_ = c.head_dim;
  block->eps_ = c.rms_norm_eps;
  block->scale_ = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
  const int64_t q_width = int64_t{c.heads} * c.head_dim, kv_width = int64_t{c.kv_heads} * c.head_dim;
  VORTEX_ASSIGN_OR_RETURN(block->q_, context.matrix(prefix + "q_proj.weight", q_width, c.hidden_size));
  VORTEX_ASSIGN_OR_RETURN(block->k_, context.matrix(prefix + "k_proj.weight", kv_width, c.hidden_size));
  VORTEX_ASSIGN_OR_RETURN(block->v_, context.matrix(prefix + "v_proj.weight", kv_width, c.hidden_size));
  VORTEX_ASSIGN_OR_RETURN(block->o_, context.matrix(prefix + "o_proj.weight", c.hidden_size, q_width));
  if (options.qkv_bias) {
    VORTEX_ASSIGN_OR_RETURN(block->q_bias_, context.vector(prefix + "q_proj.bias", q_width));
    VORTEX_ASSIGN_OR_RETURN(block->k_bias_, context.vector(prefix + "k_proj.bias", kv_width));
    VORTEX_ASSIGN_OR_RETURN(block->v_bias_, context.vector(prefix + "v_proj.bias", kv_width));
  }
  if (options.o_bias) {
    VORTEX_ASSIGN_OR_RETURN(block->o_bias_, context.vector(prefix + "o_proj.bias", c.hidden_size));
  }
  if (options.qk_norm) {
    VORTEX_ASSIGN_OR_RETURN(block->q_norm_, context.vector(prefix + "q_norm.weight", c.head_dim));
    VORTEX_ASSIGN_OR_RETURN(block->k_norm_, context.vector(prefix + "k_norm.weight", c.head_dim));
  }
  return std::unique_ptr<AttentionBlock>(std::move(block));
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
  if (!q_norm_.empty()) {
    dense.rms_norm(queries_, head_dim_, q_norm_.data(), eps_, tokens * heads_, head_dim_, queries_);
    dense.rms_norm(keys_, head_dim_, k_norm_.data(), eps_, tokens * kv_heads_, head_dim_, keys_);
  }
  dense.rope(queries_, tokens, q_width, heads_, head_dim_, step.angles);
  dense.rope(keys_, tokens, kv_width, kv_heads_, head_dim_, step.angles);
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
  if (step.flow != nullptr && !step.completed_pages.empty()) step.flow->update(*step.pages, step.completed_pages);
  if (batch.decodes > 0) decode(step);
  token = batch.decodes;
  for (const attention::TokenSlice& slice : std::span(batch.slices).subspan(static_cast<size_t>(batch.decodes))) {
    const int64_t first = token * q_width;
    backend_.attention->prefill(*step.pages, slice, queries_ + first, q_width, heads_, scale_, mixed_ + first, q_width);
    token += slice.count;
  }
}

void GqaAttention::decode(const LayerStep& step) {
  const bool sparse = step.sparse && step.batch->plan.any_sparse();
  if (sparse) {
    const auto start = std::chrono::steady_clock::now();
    select(step);
    step.result->selection_s += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  const PageList& list = sparse ? *step.sparse_list : *step.dense_list;
  backend_.attention->decode(*step.pages, list, queries_, heads_ / kv_heads_, scale_, mixed_);
  if (!step.sparse) return;
  for (int row = 0; row < list.rows(); ++row)
    step.result->pages_read[static_cast<size_t>(row / kv_heads_)] += list.row_pages(row);
}

/// The lists are complete even where scores were NaN, so the step goes on and only those requests end. A selection that
/// leaves slots empty shortens the list, which is then made anew for the next layer.
void GqaAttention::select(const LayerStep& step) {
  const StepPlan& plan = step.batch->plan;
  if (step.flow != nullptr) {
    if (!step.flow->plan().fixed_count()) list_reserved_pages(plan, *step.pages, step.sparse_list);
    const Status status = step.flow->select(*step.pages, plan, queries_, step.sparse_list);
    if (!status.ok())
      for (int row : step.flow->failed_rows()) step.result->failures.push_back({row / kv_heads_, status.error()});
  }
  if (step.hook == nullptr) return;
  const Selection selection{step.pages, &plan, queries_, heads_ / kv_heads_, scale_};
  step.hook->on_selection(selection, step.sparse_list);
}

}  // namespace vortex::model
