// Decoder: a transformer of any family, from token ids to logits.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "loader/model_files.h"
#include "model/layer_builder.h"
#include "model/layers.h"
#include "model/weight_quantizer.h"

namespace vortex::model {

/// What selects the pages that decode reads: a flow, a hook or both. Neither means dense everywhere.
struct Sparsity {
  flow::CompiledFlow* flow = nullptr;
  std::vector<bool> layers;  // by layer: pages are selected there
  SelectionHook* hook = nullptr;

  bool active() const { return flow != nullptr || hook != nullptr; }
};

class Decoder {
 public:
  /// Takes every weight of `files` (with backend.ranks: of its share), which must outlive the decoder; a leftover or
  /// missing one is an error. `quantization` makes blocks of the matrices, but for the embedding and the routers of
  /// experts.
  static Result<std::unique_ptr<Decoder>> load(ModelFiles& files, const Backend& backend,
                                               std::optional<Quantization> quantization = std::nullopt);

  const ModelConfig& config() const { return config_; }

  /// Runs the batch: stores its K and V in `pages` (one view a layer) and writes the logits of batch.logit_tokens to
  /// `logits` [batch.logit_tokens.size(), vocab_size]; a rank writes those of its part of the vocabulary, and stops
  /// where backend.ranks->status() says that another failed. The logits of sequences whose flow failed are void. The
  /// result is good until the next call. A step no larger than one before allocates nothing.
  const StepResult& forward(const Batch& batch, std::span<const PageView> pages, const Sparsity& sparsity,
                            float* logits);

 private:
  struct Layer {
    std::vector<float> attention_norm, ffn_norm;
    std::vector<float> attention_post_norm, ffn_post_norm;  // of sandwich norms; else empty
    LayerBlocks blocks;
  };
  /// Rotary embedding of full or of sliding layers: frequencies, and this step's angles.
  struct Rope {
    std::vector<float> inverse_frequencies;
    float scale = 1.0f;
    bool interleaved = false;
    std::vector<float> cos, sin;

    void prepare(std::span<const int32_t> positions);
    kernels::RopeAngles angles() const;
  };

  Decoder() = default;
  Status load_weights(const ModelFiles& files, const LoadContext& context);
  Status load_layer(const LoadContext& context, int index);
  LayerStep layer_step(const Batch& batch, const PageView& pages, const Sparsity& sparsity, int index);
  void prepare_lists(const Batch& batch, const PageView& view, bool sparse);
  void run_layer(Layer& layer, const LayerStep& step);
  void finish_block(const std::vector<float>& post_norm, int64_t tokens);
  void write_logits(const Batch& batch, float* logits);

  ModelConfig config_;
  Backend backend_;
  TensorView embedding_;
  std::vector<Layer> layers_;
  std::vector<float> final_norm_;
  std::unique_ptr<kernels::Matrix> lm_head_;
  Rope rope_, sliding_rope_;

  // Scratch of one step.
  StepResult result_;
  Workspace workspace_;
  std::vector<float> hidden_, normed_, block_out_, last_;
  std::vector<PageId> completed_pages_;
  PageList dense_list_, window_list_, sparse_list_;
};

}  // namespace vortex::model
