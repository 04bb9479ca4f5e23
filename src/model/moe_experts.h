// The experts of a mixture, as the files store them: one by one, or stacked (gpt-oss from Hugging Face).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/layers.h"

namespace vortex::model {

/// One expert: down(f(gate(h), up(h))).
struct Expert {
  std::unique_ptr<kernels::Matrix> gate, up, down;   // [inner, hidden] twice, [hidden, inner]
  std::vector<float> gate_bias, up_bias, down_bias;  // empty: none
};

/// Takes all experts under `prefix` ("model.layers.3.mlp."): "experts.E.{gate,up,down}_proj.{weight,bias}", or, where
/// the weights have it, "experts.gate_up_proj" [E, hidden, 2 * inner] with gate and up in alternate columns,
/// "experts.down_proj" [E, inner, hidden] and their biases [E, 2 * inner] and [E, hidden].
Result<std::vector<Expert>> load_experts(const LoadContext& context, const std::string& prefix);

}  // namespace vortex::model
