#include "model/moe_experts.h"

#include "tensor/quant_blocks.h"

namespace vortex::model {
namespace {

Result<Expert> load_expert(const LoadContext& context, const std::string& prefix) {
  const int64_t hidden = context.config->hidden_size, inner = context.config->moe.intermediate_size;
  Expert expert;
  VORTEX_ASSIGN_OR_RETURN(expert.gate, context.matrix(prefix + "gate_proj.weight", inner, hidden));
  VORTEX_ASSIGN_OR_RETURN(expert.up, context.matrix(prefix + "up_proj.weight", inner, hidden));
  VORTEX_ASSIGN_OR_RETURN(expert.down, context.matrix(prefix + "down_proj.weight", hidden, inner));
  if (!context.config->moe.expert_bias) return expert;
  VORTEX_ASSIGN_OR_RETURN(expert.gate_bias, context.vector(prefix + "gate_proj.bias", inner));
  VORTEX_ASSIGN_OR_RETURN(expert.up_bias, context.vector(prefix + "up_proj.bias", inner));
  VORTEX_ASSIGN_OR_RETURN(expert.down_bias, context.vector(prefix + "down_proj.bias", hidden));
  return expert;
}

/// A stack of biases [experts, n]: elements first, first + step, ... of one.
std::vector<float> bias_of(const TensorView& stack, int64_t index, int64_t first, int64_t step) {
  std::vector<float> all(static_cast<size_t>(stack.cols())), out;
  dequantize(stack.dtype, row_range(stack, index, 1).data, all.data(), stack.cols());
  for (auto i = static_cast<size_t>(first); i < all.size(); i += static_cast<size_t>(step)) out.push_back(all[i]);
  return out;
}

/// Tensors that hold all experts of a layer.
struct Stacks {
  TensorView gate_up, down, gate_up_bias, down_bias;
};

Result<Stacks> take_stacks(const LoadContext& context, const std::string& prefix) {
  const int64_t experts = context.config->moe.experts, hidden = context.config->hidden_size;
  const int64_t inner = context.config->moe.intermediate_size;
  Stacks stacks;
  VORTEX_ASSIGN_OR_RETURN(stacks.gate_up,
                          context.weights->take(prefix + "gate_up_proj", Shape{experts, hidden, 2 * inner}));
  VORTEX_ASSIGN_OR_RETURN(stacks.down, context.weights->take(prefix + "down_proj", Shape{experts, inner, hidden}));
  if (!context.config->moe.expert_bias) return stacks;
  VORTEX_ASSIGN_OR_RETURN(stacks.gate_up_bias,
                          context.weights->take(prefix + "gate_up_proj_bias", Shape{experts, 2 * inner}));
  VORTEX_ASSIGN_OR_RETURN(stacks.down_bias, context.weights->take(prefix + "down_proj_bias", Shape{experts, hidden}));
  return stacks;
}

Result<Expert> unstacked(const LoadContext& context, const std::string& prefix, const Stacks& stacks, int64_t index) {
  const TensorView gate_up = matrix_at(stacks.gate_up, index);
  Expert expert;
  VORTEX_ASSIGN_OR_RETURN(expert.gate, context.columns(prefix + "gate_up_proj", gate_up, 0, 2));
  VORTEX_ASSIGN_OR_RETURN(expert.up, context.columns(prefix + "gate_up_proj", gate_up, 1, 2));
  VORTEX_ASSIGN_OR_RETURN(expert.down, context.columns(prefix + "down_proj", matrix_at(stacks.down, index), 0, 1));
  if (!context.config->moe.expert_bias) return expert;
  expert.gate_bias = bias_of(stacks.gate_up_bias, index, 0, 2);
  expert.up_bias = bias_of(stacks.gate_up_bias, index, 1, 2);
  expert.down_bias = bias_of(stacks.down_bias, index, 0, 1);
  return expert;
}

}  // namespace

Result<std::vector<Expert>> load_experts(const LoadContext& context, const std::string& prefix) {
  const std::string experts_prefix = prefix + "experts.";
  const bool stacked = context.weights->contains(experts_prefix + "gate_up_proj");
  Stacks stacks;
  if (stacked) {
    VORTEX_ASSIGN_OR_RETURN(stacks, take_stacks(context, experts_prefix));
  }
  std::vector<Expert> experts(static_cast<size_t>(context.config->moe.experts));
  for (size_t e = 0; e < experts.size(); ++e) {
    VORTEX_ASSIGN_OR_RETURN(experts[e], stacked ? unstacked(context, experts_prefix, stacks, static_cast<int64_t>(e))
                                                : load_expert(context, fmt::format("{}{}.", experts_prefix, e)));
  }
  for (const char* stack : {"gate_up_proj", "down_proj"})
    if (stacked) context.weights->release(experts_prefix + stack);
  return experts;
}

}  // namespace vortex::model
