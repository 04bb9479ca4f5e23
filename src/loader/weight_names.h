// From the names that files give weights to the ones that our layers ask for: Hugging Face's, of the llama family.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "loader/tensor_list.h"
#include "loader/weights.h"

namespace vortex {

struct Family;
struct ModelConfig;

/// A name of a layer's weight, without what may follow it (".weight", ".bias"). A "*" in both is the same number.
/// A "*" in ours alone: theirs is stacked, and each slice of the first axis is one of ours.
struct WeightAlias {
  std::string_view theirs;
  std::string_view ours;
};

/// Adds tensors of safetensors files under our names. Layers past the last of a family that has such (they predict
/// further tokens) are left out: returns how many tensors. kDataLoss when two tensors get one name.
Result<int> add_hf_weights(std::span<const NamedTensor> tensors, const Family& family, const ModelConfig& config,
                           WeightMap* out);

/// The same for GGUF's names ("blk.3.attn_q.weight" is "model.layers.3.self_attn.q_proj.weight"). A name that we do
/// not know stays as it is: WeightMap::finish() will refuse it.
Result<int> add_gguf_weights(std::span<const NamedTensor> tensors, const Family& family, const ModelConfig& config,
                             WeightMap* out);

}  // namespace vortex
