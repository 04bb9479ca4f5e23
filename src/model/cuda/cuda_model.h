// A transformer of any family on the GPU: the weights, and what queues a step's layers on a stream.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "attention/cuda/attention.h"
#include "flow/backends/cuda/cuda_flow.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/moe.h"
#include "model/cuda/cuda_ranks.h"
#include "model/cuda/layer_weights.h"
#include "model/cuda/noise.h"
#include "model/cuda/step_buffers.h"

namespace vortex::cuda {

/// Memory between operations, for steps of so many tokens; shared by all layers. [tokens, width] each.
struct Activations {
  /// `ranks`: null when the model is whole.
  Activations(const ModelConfig& config, const CudaRanks* ranks, int64_t tokens);

  DeviceArray<float> hidden, block_out,
      normed_float;          // residual; output before a second norm, or of a rank; the router's input
  DeviceArray<float> q_low;  // latent models with q_lora_rank
  DeviceArray<bf16> normed, qkv, queries, mixed, gate_up, inner;
  DeviceArray<bf16> kv_a, absorbed, attended;  // latent models
  DeviceArray<float> squares;                  // [tokens, 2], norms over heads of several ranks
  int64_t bytes() const;
};

/// Which layers select pages, and how.
struct SparseLayers {
  flow::CudaFlow* flow = nullptr;
  std::vector<bool> layers;             // by layer
  int32_t* nan_sequences = nullptr;     // CudaFlow::decode
  unsigned long long* pages = nullptr;  // [decodes] pages read, summed over layers; null: the plan says how many
};

/// What the layers of one step share.
struct ForwardStep {
  const StepBuffers* buffers = nullptr;
  std::span<const PageView> pages;  // one view a layer
  AttentionScratch* attention = nullptr;
  SparseLayers sparse;
  const int32_t* drawn = nullptr;  // tokens of the previous step's rows
  cudaStream_t stream = nullptr;
};

class CudaModel {
 public:
  /// Takes every weight. `ranks`, null when the model is whole, outlives it. Throws Failure.
  CudaModel(ModelFiles& files, CudaRanks* ranks);

  const ModelConfig& config() const { return config_; }
  /// Whether the kernels take this model's attention over such pages.
  Status check_attention(std::span<const PageView> pages) const;
  /// Memory for steps of at most `tokens` tokens, and angles for positions below `max_length`.
  void prepare(int64_t tokens, int64_t max_length);
  /// Bytes that prepare() will take.
  int64_t step_bytes(int64_t tokens, int64_t max_length) const;

  /// Queues the step: stores K and V, and writes the logits of the picked rows to `logits` [rows, vocab], of
  /// the rank's part of the vocabulary where there are several.
  void forward(const ForwardStep& step, float* logits);

 private:
  struct RopeTable {
    DeviceArray<float> angles;  // [positions, 2 * pairs]
    int pairs = 0;
    bool interleaved = false;
  };
  RopeTable make_rope(const RopeConfig& config, int64_t positions) const;
  const RopeTable& rope_of(int layer) const { return config_.slides(layer) && sliding_rope_ ? *sliding_rope_ : rope_; }

  void run_layer(const ForwardStep& step, int layer);
  void run_gqa(const ForwardStep& step, int layer, float* out);
  void run_latent(const ForwardStep& step, int layer, float* out);
  void norm_across_ranks(const bf16* qkv, int64_t tokens, QkvShape* shape, cudaStream_t stream);
  /// Where blocks add their part to what is there.
  float* block_out() const;
  /// Completes block_out() over the ranks, into the residual or before its second norm.
  void add_up(int64_t tokens, cudaStream_t stream);
  void run_feed_forward(const LayerWeights& weights, int64_t tokens, float* out, cudaStream_t stream);
  void run_mlp(const MlpWeights& weights, int64_t tokens, float* out, cudaStream_t stream);
  void attend(const ForwardStep& step, int layer, const AttentionLayer& shape, const bf16* q, bf16* out);
  void norm(const DeviceArray<float>& weight, int64_t tokens, cudaStream_t stream);
  void add_normed(const DeviceArray<float>& weight, int64_t tokens, cudaStream_t stream);
  void product(const DeviceArray<bf16>& weight, int64_t rows, int64_t cols, const bf16* x, int64_t tokens, void* y,
               bool residual, const DeviceArray<float>& bias, cudaStream_t stream);
  int64_t head_rows() const { return ranks_ != nullptr ? ranks_->share().vocab.size() : config_.vocab_size; }
  AttentionLayer attention_layer(const PageView& pages, int layer) const;

  ModelConfig config_;
  CudaRanks* const ranks_;
  DeviceArray<bf16> embedding_, lm_head_;  // lm_head_ empty: the embedding
  DeviceArray<float> final_norm_;
  std::vector<LayerWeights> layers_;
  RopeTable rope_;
  std::optional<RopeTable> sliding_rope_;
  std::unique_ptr<Activations> activations_;
  std::unique_ptr<MoeScratch> moe_;
  Gemm gemm_;
};

/// Base field of a view as kernels take it.
FieldPointer field_pointer(const PageView& view, size_t field);

}  // namespace vortex::cuda
