// Decoder: a transformer of any family, from token ids to logits.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "loader/model_files.h"
#include "model/arch/registry.h"
#include "model/layers.h"

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
  /// Takes every weight of `files`, which must outlive the decoder; a leftover or missing one is an error.
  static Result<std::unique_ptr<Decoder>> load(ModelFiles& files, const Backend& backend);

  const ModelConfig& config() const { return config_; }

  /// What a page of a layer holds for one kv head: k and v in `dtype`.
  std::vector<FieldSpec> kv_fields(int page_tokens, DType dtype) const;

  /// Runs the batch: stores its K and V in `pages` (one view a layer) and writes the logits of batch.logit_tokens to
  /// `logits` [batch.logit_tokens.size(), vocab_size]. The logits of sequences whose flow failed are void.
  StepResult forward(const Batch& batch, std::span<const PageView> pages, const Sparsity& sparsity, float* logits);

 private:
  struct Layer {
    std::vector<float> attention_norm, ffn_norm;
    LayerBlocks blocks;
  };

  Decoder() = default;
  Status load_weights(WeightMap& weights);
  void prepare_angles(const Batch& batch);
  void prepare_lists(const Batch& batch, const PageView& view, bool sparse);
  void run_layer(Layer& layer, const LayerStep& step);
  void write_logits(const Batch& batch, float* logits);

  ModelConfig config_;
  Backend backend_;
  TensorView embedding_;
  std::vector<Layer> layers_;
  std::vector<float> final_norm_;
  std::unique_ptr<kernels::Matrix> lm_head_;
  std::vector<float> inverse_frequencies_;
  float rope_scale_ = 1.0f;

  // Scratch of one step.
  Workspace workspace_;
  std::vector<float> hidden_, normed_, cos_, sin_, last_;
  std::vector<PageId> completed_pages_;
  PageList dense_list_, sparse_list_;
};

}  // namespace vortex::model
