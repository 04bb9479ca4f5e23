#include "model/gated_mlp.h"

namespace vortex::model {

Result<std::unique_ptr<FeedForward>> GatedMlp::load(const LoadContext& context, const std::string& prefix,
                                                    int64_t inner, bool bias) {
  const int64_t hidden = context.config->hidden_size;
  std::unique_ptr<GatedMlp> mlp(new GatedMlp);
  mlp->dense_ = context.backend.dense;
  mlp->gating_ = gating_of(context.config->activation);
  VORTEX_ASSIGN_OR_RETURN(mlp->gate_, context.matrix(prefix + "gate_proj.weight", inner, hidden));
  VORTEX_ASSIGN_OR_RETURN(mlp->up_, context.matrix(prefix + "up_proj.weight", inner, hidden));
  VORTEX_ASSIGN_OR_RETURN(mlp->down_, context.matrix(prefix + "down_proj.weight", hidden, inner));
  if (bias) {
    VORTEX_ASSIGN_OR_RETURN(mlp->gate_bias_, context.vector(prefix + "gate_proj.bias", inner));
    VORTEX_ASSIGN_OR_RETURN(mlp->up_bias_, context.vector(prefix + "up_proj.bias", inner));
    VORTEX_ASSIGN_OR_RETURN(mlp->down_bias_, context.vector(prefix + "down_proj.bias", hidden));
  }
  return std::unique_ptr<FeedForward>(std::move(mlp));
}

void GatedMlp::forward(Workspace* workspace, const float* h, int64_t tokens, float* x) {
  const int64_t inner = gate_->rows();
  float* gates = workspace->floats(0, tokens * inner);
  float* ups = workspace->floats(1, tokens * inner);
  const kernels::Product inputs[] = {{gate_.get(), gates, inner, data_or_null(gate_bias_)},
                                     {up_.get(), ups, inner, data_or_null(up_bias_)}};
  dense_->matmul(h, tokens, inputs);
  dense_->gate_mul(gating_, gates, ups, tokens * inner, gates);
  const kernels::Product output{down_.get(), x, down_->rows(), data_or_null(down_bias_), /*accumulate=*/true};
  dense_->matmul(gates, tokens, {&output, 1});
}

}  // namespace vortex::model
