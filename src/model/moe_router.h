// Which experts each token goes to, and with what weight: everything in float32.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/layers.h"

namespace vortex::model {

class MoeRouter {
 public:
  /// Takes "gate.weight" [experts, hidden] under `prefix` ("model.layers.3.mlp."), and the biases the config names.
  static Result<std::unique_ptr<MoeRouter>> load(const LoadContext& context, const std::string& prefix);

  /// For each token of h [tokens, hidden] its experts, ascending, and what their outputs are multiplied by:
  /// [tokens, experts_per_token] each. Equal scores prefer the lower expert. Uses slot 0 of the workspace.
  void route(Workspace* workspace, const float* h, int64_t tokens, int32_t* experts, float* weights);

 private:
  explicit MoeRouter(const LoadContext& context);

  void choose(const float* logits, int32_t* experts, float* weights);
  void score(const float* logits);
  void exclude_groups();
  float group_score(int group) const;
  void weigh(const int32_t* experts, const float* logits, float* weights) const;

  kernels::DenseOps* dense_;
  MoeConfig config_;
  std::unique_ptr<kernels::Matrix> gate_;
  std::vector<float> bias_, selection_bias_;  // empty: none
  // Of the token at hand
  std::vector<float> scores_, choice_, group_scores_;  // [experts], [experts] with the bias, [groups]
  std::vector<char> group_taken_;
};

}  // namespace vortex::model
