#include "model/cuda/cuda_model.h"

#include <algorithm>
#include <cmath>

#include "loader/rope.h"

namespace vortex::cuda {
namespace {

int64_t widest_inner(const ModelConfig& c) {
  const bool any_dense = c.moe_layers.empty() || std::ranges::find(c.moe_layers, false) != c.moe_layers.end();
  const int64_t shared = int64_t{c.moe.shared_experts} * c.moe.intermediate_size;
  return std::max<int64_t>(any_dense ? c.intermediate_size : 0, std::max<int64_t>(shared, 1));
}

RouterShape router_shape(const MoeConfig& moe, const MoeWeights& weights) {
  RouterShape shape;
  shape.experts = moe.experts;
  shape.per_token = moe.experts_per_token;
  shape.scoring = static_cast<RouterShape::Scoring>(moe.scoring);
  shape.normalize = moe.normalize;
  shape.normalize_epsilon = moe.normalize_epsilon;
  shape.routed_scale = moe.routed_scale;
  shape.groups = moe.groups;
  shape.top_groups = moe.top_groups;
  shape.group_score = static_cast<RouterShape::GroupScore>(moe.group_score);
  shape.logit_bias = or_null(weights.logit_bias);
  shape.selection_bias = or_null(weights.selection_bias);
  return shape;
}

/// The part of any rank but the first is added up without the residual, which is on all of them.
bool follows(const CudaRanks* ranks) { return ranks != nullptr && !ranks->leads(); }

}  // namespace

static_assert(static_cast<int>(RouterShape::Scoring::kTopKSoftmax) ==
                  static_cast<int>(MoeConfig::Scoring::kTopKSoftmax) &&
              static_cast<int>(RouterShape::GroupScore::kTop2Sum) == static_cast<int>(MoeConfig::GroupScore::kTop2Sum));

FieldPointer field_pointer(const PageView& view, size_t field) {
  return {reinterpret_cast<unsigned char*>(view.fields[field].base), view.fields[field].page_bytes};
}

Activations::Activations(const ModelConfig& c, const CudaRanks* ranks, int64_t tokens)
    : hidden(tokens * c.hidden_size),
      block_out(c.sandwich_norms || follows(ranks) ? tokens * c.hidden_size : 0),
      normed_float(c.moe.experts > 0 ? tokens * c.hidden_size : 0),
      q_low(tokens * c.mla.q_lora_rank),
      normed(tokens * std::max<int64_t>(c.hidden_size, c.mla.q_lora_rank)),
      qkv(c.latent() ? 0 : tokens * (c.heads + 2 * c.kv_heads) * c.head_dim),
      queries(tokens * c.heads * (c.latent() ? c.mla.qk_nope_head_dim + c.mla.qk_rope_head_dim : c.head_dim)),
      mixed(tokens * c.heads * (c.latent() ? c.mla.v_head_dim : c.head_dim)),
      gate_up(tokens * 2 * widest_inner(c)),
      inner(tokens * widest_inner(c)),
      kv_a(c.latent() ? tokens * c.head_dim : 0),
      absorbed(c.latent() ? tokens * c.heads * c.head_dim : 0),
      attended(tokens * c.heads * c.mla.kv_lora_rank),
      squares(ranks != nullptr && c.qk_norm == QkNorm::kAll ? 2 * tokens : 0) {}

int64_t Activations::bytes() const {
  return hidden.bytes() + block_out.bytes() + normed_float.bytes() + q_low.bytes() + normed.bytes() + qkv.bytes() +
         queries.bytes() + mixed.bytes() + gate_up.bytes() + inner.bytes() + kv_a.bytes() + absorbed.bytes() +
         attended.bytes() + squares.bytes();
}

CudaModel::CudaModel(ModelFiles& files, CudaRanks* ranks) : config_(files.config()), ranks_(ranks) {
  WeightLoader loader(files);
  const int64_t vocab = config_.vocab_size, hidden = config_.hidden_size;
  embedding_ = loader.matrix("model.embed_tokens.weight", vocab, hidden);
  for (int i = 0; i < config_.layers; ++i) layers_.push_back(LayerWeights::load(loader, i));
  final_norm_ = loader.norm("model.norm.weight", hidden);
  if (!config_.tie_word_embeddings) lm_head_ = loader.matrix("lm_head.weight", head_rows(), hidden);
  loader.finish();
}

/// Angles in float32, as transformers computes them.
CudaModel::RopeTable CudaModel::make_rope(const RopeConfig& config, int64_t positions) const {
  const std::vector<float> frequencies = rope_inverse_frequencies(config, config_.head_dim);
  const float scale = rope_attention_scale(config);
  const size_t pairs = frequencies.size();
  std::vector<float> angles(static_cast<size_t>(positions) * 2 * pairs);
  for (size_t p = 0; p < static_cast<size_t>(positions); ++p) {
    for (size_t i = 0; i < pairs; ++i) {
      const float angle = static_cast<float>(p) * frequencies[i];
      angles[p * 2 * pairs + i] = std::cos(angle) * scale;
      angles[p * 2 * pairs + pairs + i] = std::sin(angle) * scale;
    }
  }
  return {to_device<float>(angles), static_cast<int>(pairs), config.interleaved};
}

void CudaModel::prepare(int64_t tokens, int64_t max_length) {
  rope_ = make_rope(config_.rope, max_length);
  if (config_.sliding_rope) sliding_rope_ = make_rope(*config_.sliding_rope, max_length);
  activations_ = std::make_unique<Activations>(config_, ranks_, tokens);
  if (config_.moe.experts > 0)
    moe_ = std::make_unique<MoeScratch>(tokens, config_.moe.experts, config_.moe.experts_per_token, config_.hidden_size,
                                        config_.moe.intermediate_size);
}

Status CudaModel::check_attention(std::span<const PageView> pages) const {
  for (int i = 0; i < config_.layers; ++i) {
    const PageView& view = pages[static_cast<size_t>(i)];
    VORTEX_RETURN_IF_ERROR(check_layer(attention_layer(view, i), view.page_tokens));
  }
  return {};
}

int64_t CudaModel::step_bytes(int64_t tokens, int64_t max_length) const {
  const ModelConfig& c = config_;
  const int64_t query = int64_t{c.heads} * (c.latent() ? 2 * c.head_dim + c.mla.kv_lora_rank : c.head_dim);
  const int64_t width = 12 * int64_t{c.hidden_size} + 8 * query + 6 * widest_inner(c) +
                        int64_t{c.moe.experts_per_token} * (6 * int64_t{c.moe.intermediate_size} + 4 * c.hidden_size);
  return tokens * width + max_length * 16 * c.head_dim;
}

void CudaModel::forward(const ForwardStep& step, float* logits) {
  const StepBuffers& buffers = *step.buffers;
  const int64_t tokens = buffers.tokens().count, hidden = config_.hidden_size;
  Activations& a = *activations_;
  embed(embedding_.data(), buffers.ids(), buffers.draw_of(), step.drawn, tokens, hidden, config_.embedding_scale,
        a.hidden.data(), step.stream);
  step.attention->plan_step(buffers.step(), step.stream);
  for (int i = 0; i < config_.layers; ++i) run_layer(step, i);
  const int64_t rows = buffers.rows();
  if (rows == 0) return;
  rms_norm_rows(a.hidden.data(), buffers.picks(), final_norm_.data(), config_.rms_norm_eps, rows, hidden,
                a.normed.data(), step.stream);
  const int64_t first_row = ranks_ != nullptr ? ranks_->share().vocab.begin : 0;
  const bf16* head = lm_head_.size() > 0 ? lm_head_.data() : embedding_.data() + first_row * hidden;
  gemm_.run({.weight = head,
             .x = a.normed.data(),
             .y = logits,
             .y_float = true,
             .tokens = rows,
             .rows = head_rows(),
             .cols = hidden},
            step.stream);
}

void CudaModel::run_layer(const ForwardStep& step, int layer) {
  const LayerWeights& w = layers_[static_cast<size_t>(layer)];
  const int64_t tokens = step.buffers->tokens().count;
  Activations& a = *activations_;
  float* out = block_out();
  const auto clear = [&] {
    if (out == a.hidden.data()) return;
    VORTEX_CUDA_CHECK(
        cudaMemsetAsync(out, 0, static_cast<size_t>(tokens * config_.hidden_size) * sizeof(float), step.stream));
  };
  clear();
  norm(w.attention_norm, tokens, step.stream);
  if (w.latent) {
    run_latent(step, layer, out);
  } else {
    run_gqa(step, layer, out);
  }
  add_up(tokens, step.stream);
  add_normed(w.attention_post_norm, tokens, step.stream);
  clear();
  norm(w.ffn_norm, tokens, step.stream);
  run_feed_forward(w, tokens, out, step.stream);
  add_up(tokens, step.stream);
  add_normed(w.ffn_post_norm, tokens, step.stream);
}

/// The residual; zeros where another norm comes between, and on every rank but the first.
float* CudaModel::block_out() const {
  const bool apart = config_.sandwich_norms || follows(ranks_);
  return apart ? activations_->block_out.data() : activations_->hidden.data();
}

void CudaModel::add_up(int64_t tokens, cudaStream_t stream) {
  if (ranks_ == nullptr) return;
  float* sum = config_.sandwich_norms ? activations_->block_out.data() : activations_->hidden.data();
  ranks_->device().all_reduce_sum(block_out(), sum, tokens * config_.hidden_size, stream);
}

void CudaModel::norm(const DeviceArray<float>& weight, int64_t tokens, cudaStream_t stream) {
  const int64_t width = config_.hidden_size;
  rms_norm(activations_->hidden.data(), width, weight.data(), config_.rms_norm_eps, tokens, width,
           activations_->normed.data(), width, stream);
}

/// Nothing to do without a second norm.
void CudaModel::add_normed(const DeviceArray<float>& weight, int64_t tokens, cudaStream_t stream) {
  if (weight.size() == 0) return;
  add_rms_norm(activations_->block_out.data(), weight.data(), config_.rms_norm_eps, tokens, config_.hidden_size,
               activations_->hidden.data(), stream);
}

void CudaModel::product(const DeviceArray<bf16>& weight, int64_t rows, int64_t cols, const bf16* x, int64_t tokens,
                        void* y, bool residual, const DeviceArray<float>& bias, cudaStream_t stream) {
  gemm_.run({.weight = weight.data(),
             .x = x,
             .y = y,
             .y_float = residual,
             .accumulate = residual,
             .bias = or_null(bias),
             .tokens = tokens,
             .rows = rows,
             .cols = cols},
            stream);
}

AttentionLayer CudaModel::attention_layer(const PageView& pages, int layer) const {
  const LayerWeights& w = layers_[static_cast<size_t>(layer)];
  AttentionLayer shape;
  shape.k = field_pointer(pages, 0);
  if (!config_.latent()) shape.v = field_pointer(pages, 1);
  shape.kv_dtype = pages.fields[0].dtype;
  shape.head_dim = config_.head_dim;
  shape.value_dim = config_.latent() ? config_.mla.kv_lora_rank : config_.head_dim;
  shape.latent = config_.latent();
  shape.group = config_.heads / config_.kv_heads;
  shape.scale =
      config_.attention_scale > 0 ? config_.attention_scale : 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
  shape.window = config_.slides(layer) ? config_.sliding_window : 0;
  shape.sinks = w.gqa ? or_null(w.gqa->sinks) : nullptr;
  return shape;
}

void CudaModel::run_gqa(const ForwardStep& step, int layer, float* out) {
  const ModelConfig& c = config_;
  const GqaWeights& w = *layers_[static_cast<size_t>(layer)].gqa;
  const PageView& pages = step.pages[static_cast<size_t>(layer)];
  const int64_t tokens = step.buffers->tokens().count;
  const int64_t q_width = int64_t{c.heads} * c.head_dim, width = q_width + 2 * int64_t{c.kv_heads} * c.head_dim;
  Activations& a = *activations_;
  product(w.qkv, width, c.hidden_size, a.normed.data(), tokens, a.qkv.data(), false, w.qkv_bias, step.stream);
  const RopeTable& rope = rope_of(layer);
  QkvShape shape{.heads = c.heads,
                 .kv_heads = c.kv_heads,
                 .head_dim = c.head_dim,
                 .rope_pairs = rope.pairs,
                 .interleaved = rope.interleaved,
                 .rope = rope.angles.data(),
                 .q_norm = or_null(w.q_norm),
                 .k_norm = or_null(w.k_norm),
                 .norm_all = c.qk_norm == QkNorm::kAll,
                 .eps = c.rms_norm_eps};
  if (ranks_ != nullptr && shape.norm_all) norm_across_ranks(a.qkv.data(), tokens, &shape, step.stream);
  norm_rope_store(a.qkv.data(), shape, step.buffers->step(), step.buffers->tokens(), field_pointer(pages, 0),
                  field_pointer(pages, 1), pages.fields[0].dtype, a.queries.data(), step.stream);
  attend(step, layer, attention_layer(pages, layer), a.queries.data(), a.mixed.data());
  product(w.o, c.hidden_size, q_width, a.mixed.data(), tokens, out, true, w.o_bias, step.stream);
}

/// Absorbed, decode and prefill alike (model/latent_attention.h).
void CudaModel::run_latent(const ForwardStep& step, int layer, float* out) {
  const ModelConfig& c = config_;
  const MlaConfig& mla = c.mla;
  const LatentWeights& w = *layers_[static_cast<size_t>(layer)].latent;
  const PageView& pages = step.pages[static_cast<size_t>(layer)];
  const int64_t tokens = step.buffers->tokens().count, low = mla.q_lora_rank, rank = mla.kv_lora_rank;
  const int64_t query = mla.qk_nope_head_dim + mla.qk_rope_head_dim, v = mla.v_head_dim, heads = c.heads;
  Activations& a = *activations_;
  product(w.kv_a, c.head_dim, c.hidden_size, a.normed.data(), tokens, a.kv_a.data(), false, w.kv_a_bias, step.stream);
  if (low > 0) {
    gemm_.run({.weight = w.q_a.data(),
               .x = a.normed.data(),
               .y = a.q_low.data(),
               .y_float = true,
               .bias = or_null(w.q_a_bias),
               .tokens = tokens,
               .rows = low,
               .cols = c.hidden_size},
              step.stream);
    rms_norm(a.q_low.data(), low, w.q_a_norm.data(), 1e-6f, tokens, low, a.normed.data(), low, step.stream);
  }
  product(w.q, heads * query, low > 0 ? low : c.hidden_size, a.normed.data(), tokens, a.queries.data(), false, {},
          step.stream);
  gemm_.run({.weight = w.absorb.data(),
             .x = a.queries.data(),
             .x_ld = heads * query,
             .y = a.absorbed.data(),
             .y_ld = heads * c.head_dim,
             .tokens = tokens,
             .rows = rank,
             .cols = mla.qk_nope_head_dim,
             .batch = c.heads,
             .weight_step = rank * mla.qk_nope_head_dim,
             .x_step = query,
             .y_step = c.head_dim},
            step.stream);
  const LatentShape shape{.heads = c.heads,
                          .rank = mla.kv_lora_rank,
                          .nope = mla.qk_nope_head_dim,
                          .rope_dim = mla.qk_rope_head_dim,
                          .interleaved = rope_.interleaved,
                          .rope = rope_.angles.data(),
                          .kv_norm = w.kv_a_norm.data()};
  latent_rope_store(a.kv_a.data(), a.queries.data(), shape, step.buffers->step(), step.buffers->tokens(),
                    field_pointer(pages, 0), pages.fields[0].dtype, a.absorbed.data(), step.stream);
  attend(step, layer, attention_layer(pages, layer), a.absorbed.data(), a.attended.data());
  gemm_.run({.weight = w.value.data(),
             .x = a.attended.data(),
             .x_ld = heads * rank,
             .y = a.mixed.data(),
             .y_ld = heads * v,
             .tokens = tokens,
             .rows = v,
             .cols = rank,
             .batch = c.heads,
             .weight_step = v * rank,
             .x_step = rank,
             .y_step = v},
            step.stream);
  product(w.o, c.hidden_size, heads * v, a.mixed.data(), tokens, out, true, w.o_bias, step.stream);
}

/// Order of a step (spec/planner.md 8): stored before; summarise completed pages, select, attend.
void CudaModel::attend(const ForwardStep& step, int layer, const AttentionLayer& shape, const bf16* q, bf16* out) {
  const StepBuffers& buffers = *step.buffers;
  const StepView& view = buffers.step();
  const PageView& pages = step.pages[static_cast<size_t>(layer)];
  const bool sparse = step.sparse.flow != nullptr && step.sparse.layers[static_cast<size_t>(layer)];
  const TokenView prompts = buffers.prompt_tokens();
  if (sparse && prompts.count > 0) step.sparse.flow->update(pages, view, prompts, step.stream);
  if (view.decodes > 0) {
    const StepLists& lists = step.attention->lists();
    const ListView& list = shape.window > 0 ? lists.window : sparse ? lists.selected : lists.all;
    if (sparse) {
      const bf16* rows = ranks_ != nullptr ? ranks_->whole_rows(q, view.decodes, step.stream) : q;
      step.sparse.flow->decode(pages, view, rows, buffers.states(), list, step.sparse.nan_sequences, step.stream);
      if (step.sparse.pages != nullptr) add_counts(list, view, step.sparse.pages, step.stream);
    }
    step.attention->decode(shape, view, list, q, out, step.stream);
  }
  if (buffers.slice_count() > 0)
    prefill(shape, view, buffers.slices(), buffers.slice_count(), buffers.most_slice_tokens(), q, out, step.stream);
}

/// The norm of all heads together, which are on several ranks: their squares are added up first.
void CudaModel::norm_across_ranks(const bf16* qkv, int64_t tokens, QkvShape* shape, cudaStream_t stream) {
  float* squares = activations_->squares.data();
  sum_of_squares(qkv, *shape, tokens, ranks_->counts(ranks_->share().rank), squares, stream);
  ranks_->device().all_reduce_sum(squares, squares, 2 * tokens, stream);
  shape->squares = squares;
  shape->square_heads = ranks_->whole().heads;
  shape->square_kv_heads = ranks_->whole().kv_heads;
}

void CudaModel::run_feed_forward(const LayerWeights& weights, int64_t tokens, float* out, cudaStream_t stream) {
  if (weights.mlp) return run_mlp(*weights.mlp, tokens, out, stream);
  const MoeWeights& moe = *weights.moe;
  Activations& a = *activations_;
  // The router reads what the norm gave before it was rounded: a rounded input takes other experts.
  VORTEX_CUDA_CHECK(cudaMemsetAsync(a.normed_float.data(), 0,
                                    static_cast<size_t>(tokens * config_.hidden_size) * sizeof(float), stream));
  add_rms_norm(a.hidden.data(), weights.ffn_norm.data(), config_.rms_norm_eps, tokens, config_.hidden_size,
               a.normed_float.data(), stream);
  moe_->run(router_shape(config_.moe, moe), moe.router.data(), moe.view(config_), a.normed.data(),
            a.normed_float.data(), tokens, out, stream);
  if (moe.shared) run_mlp(*moe.shared, tokens, out, stream);
}

void CudaModel::run_mlp(const MlpWeights& w, int64_t tokens, float* out, cudaStream_t stream) {
  Activations& a = *activations_;
  product(w.gate_up, 2 * w.inner, config_.hidden_size, a.normed.data(), tokens, a.gate_up.data(), false, w.gate_up_bias,
          stream);
  gate_mul(gating_of(config_.activation), a.gate_up.data(), tokens, w.inner, a.inner.data(), stream);
  product(w.down, config_.hidden_size, w.inner, a.inner.data(), tokens, out, true, w.down_bias, stream);
}

}  // namespace vortex::cuda
