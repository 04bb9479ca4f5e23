// Mixture of experts on the GPU, without a wait of the host: tokens are routed, sorted by expert and multiplied in
// groups whose sizes only the device knows.
#pragma once

#include "device/cuda/memory.h"
#include "kernels/cuda/dense.h"
#include "kernels/cuda/gemm.h"

namespace vortex::cuda {

/// As model/moe_router.h and ModelConfig::moe.
struct RouterShape {
  enum class Scoring { kSoftmax, kSigmoid, kTopKSoftmax };
  enum class GroupScore { kMax, kTop2Sum };
  int experts = 0, per_token = 0;
  Scoring scoring = Scoring::kSoftmax;
  bool normalize = false;
  float normalize_epsilon = 0, routed_scale = 1;
  int groups = 1, top_groups = 1;
  GroupScore group_score = GroupScore::kTop2Sum;
  const float* logit_bias = nullptr;      // [experts] or null
  const float* selection_bias = nullptr;  // [experts] or null
};

/// Weights of all experts of a layer, bf16: gate and up as one matrix of 2 * inner rows an expert.
struct ExpertWeights {
  const bf16* gate_up = nullptr;        // [experts, 2 * inner, hidden]
  const bf16* down = nullptr;           // [experts, hidden, inner]
  const float* gate_up_bias = nullptr;  // [experts, 2 * inner] or null
  const float* down_bias = nullptr;     // [experts, hidden] or null
  int64_t hidden = 0, inner = 0;
  kernels::Gating gating = kernels::Gating::kSilu;
};

class MoeScratch {
 public:
  MoeScratch(int64_t tokens, int experts, int per_token, int64_t hidden, int64_t inner);
  ~MoeScratch();

  /// out[t] += sum over the experts of t of weight * expert(x[t]): router [experts, hidden] float32, x [tokens, hidden]
  /// bf16 normed input and the same in float32 for the router, out [tokens, hidden] float32. Deterministic.
  void run(const RouterShape& shape, const float* router, const ExpertWeights& experts, const bf16* x,
           const float* x_float, int64_t tokens, float* out, cudaStream_t stream);

 private:
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

}  // namespace vortex::cuda
