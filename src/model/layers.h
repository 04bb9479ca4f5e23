// The two halves of a transformer layer. An architecture is a choice of these (arch/).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "base/result.h"
#include "kernels/dense_ops.h"
#include "loader/model_config.h"
#include "loader/weights.h"
#include "model/batch.h"
#include "model/workspace.h"
#include "tensor/paged.h"

namespace vortex::flow {
class CompiledFlow;
}

namespace vortex::model {

class RankGroup;
class WeightQuantizer;

/// The kernels a model runs on.
struct Backend {
  kernels::DenseOps* dense = nullptr;
  attention::AttentionOps* attention = nullptr;
  RankGroup* ranks = nullptr;  // that compute the other shares; null: the model is whole
};

/// A flow that scored NaN for a decode sequence: that request ends, the others go on.
struct FlowFailure {
  int sequence = 0;  // index in batch.plan.sequences
  Error error;
};

/// What a step did beside the logits.
struct StepResult {
  std::vector<FlowFailure> failures;
  std::vector<int32_t> tokens;      // by row of logits: the token drawn, kHostLogits or kCorruptedLogits
  std::vector<int64_t> pages_read;  // by decode sequence: sum over the sparse layers and the rows
  double selection_s = 0;           // seconds in scoring and choosing pages
  double attention_s = 0;           // seconds in the attention of decodes, over the pages chosen

  void clear(int64_t decodes) {
    failures.clear();
    pages_read.assign(static_cast<size_t>(decodes), 0);
    selection_s = attention_s = 0;
  }
};

/// The decode rows of one sparse layer when their pages are chosen.
struct Selection {
  const PageView* pages = nullptr;  // pages->layer says which layer
  const StepPlan* plan = nullptr;
  const float* queries = nullptr;  // [rows, group, head_dim]
  int group = 1;
  float scale = 1.0f;  // attention weights are softmax(scale * q . k)
};

/// Sees every selection before attention reads the pages, and may replace it: for measurements, and for controls that
/// no flow can express (the best pages by the true logits).
class SelectionHook {
 public:
  virtual ~SelectionHook() = default;
  /// `list` is as list_reserved_pages made it, its middle slots filled by the flow; without a flow they are -1 and
  /// this must fill them.
  virtual void on_selection(const Selection& selection, PageList* list) = 0;
};

/// What all layers of one step share, and the pages of the one that runs.
struct LayerStep {
  const Batch* batch = nullptr;
  Workspace* workspace = nullptr;
  const PageView* pages = nullptr;
  kernels::RopeAngles angles;
  bool sparse = false;                      // decode reads selected pages in this layer
  flow::CompiledFlow* flow = nullptr;       // of a sparse layer; null: the hook selects
  SelectionHook* hook = nullptr;            // of a sparse layer; may be null
  std::span<const PageId> completed_pages;  // for the flow's forward_cache
  const PageList* dense_list = nullptr;     // decode rows, all pages
  const PageList* window_list = nullptr;    // decode rows, the pages of the sliding window
  PageList* sparse_list = nullptr;          // reserved pages in place; each sparse layer fills the middle
  StepResult* result = nullptr;
};

class AttentionBlock {
 public:
  virtual ~AttentionBlock() = default;
  /// x += attention(h) for the batch's tokens: h and x are [tokens, hidden]. A rank adds its part of the sum; so does
  /// FeedForward.
  virtual void forward(const LayerStep& step, const float* h, float* x) = 0;
};

class FeedForward {
 public:
  virtual ~FeedForward() = default;
  /// x += ffn(h): h and x are [tokens, hidden].
  virtual void forward(Workspace* workspace, const float* h, int64_t tokens, float* x) = 0;
};

/// What building a layer needs.
struct LoadContext {
  const ModelConfig* config = nullptr;
  WeightMap* weights = nullptr;
  Backend backend;
  WeightQuantizer* quantizer = nullptr;  // null: weights stay as they are stored

  /// A vector of `n` elements (a bias) as float32.
  Result<std::vector<float>> vector(const std::string& name, int64_t n) const;
  /// What an RMS norm multiplies by: the stored weight, plus 1 in models that store it without.
  Result<std::vector<float>> norm(const std::string& name, int64_t n) const;
  /// A matrix [rows, cols] ready for products.
  Result<std::unique_ptr<kernels::Matrix>> matrix(const std::string& name, int64_t rows, int64_t cols) const;
  /// The output head, which is quantised less.
  Result<std::unique_ptr<kernels::Matrix>> head(const std::string& name, int64_t rows, int64_t cols) const;
  /// Part of a weight that was taken, ready for products. `name` is for errors, here and below.
  Result<std::unique_ptr<kernels::Matrix>> prepared(const std::string& name, const TensorView& part) const;
  /// The same, never quantised.
  Result<std::unique_ptr<kernels::Matrix>> as_stored(const std::string& name, const TensorView& part) const;
  /// The transpose of what prepared() gives, so that both forms of a weight mean the same numbers.
  Result<std::unique_ptr<kernels::Matrix>> transposed(const std::string& name, const TensorView& part) const;
  /// Columns first, first + step, ... of a part as the rows of a matrix.
  Result<std::unique_ptr<kernels::Matrix>> columns(const std::string& name, const TensorView& part, int64_t first,
                                                   int64_t step) const;
};

/// Rows [first, first + count) of a matrix.
TensorView row_range(const TensorView& matrix, int64_t first, int64_t count);
/// Matrix `index` of a stack [count, rows, cols].
TensorView matrix_at(const TensorView& stack, int64_t index);

kernels::Gating gating_of(Activation activation);

/// An absent bias is an empty vector here and a null pointer to the kernels.
inline const float* data_or_null(const std::vector<float>& v) { return v.empty() ? nullptr : v.data(); }

}  // namespace vortex::model
