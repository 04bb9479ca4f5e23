// The parts of a mixture of experts, in the order they are queued.
#pragma once

#include "kernels/cuda/moe.h"

namespace vortex::cuda {

/// Which experts each token goes to. Pair p is choice p % per_token of token p / per_token.
struct Routing {
  int32_t* experts = nullptr;  // [tokens, per_token] ascending
  float* weights = nullptr;    // [tokens, per_token]
  int32_t* offsets = nullptr;  // [experts + 1] first place of each expert's pairs
  int32_t* pairs = nullptr;    // [tokens * per_token] the pair at each place: by expert, then by pair
  int32_t* places = nullptr;   // [tokens * per_token] where each pair is
};

/// logits[t, e] = sum_c router[e, c] x[t, c] + bias[e], in float32.
void router_logits(const float* router, const float* x, const float* bias, int64_t tokens, int experts, int64_t hidden,
                   float* logits, cudaStream_t stream);

/// Fills in routing.experts and weights as model/moe_router.h does.
void choose_experts(const RouterShape& shape, const float* logits, int64_t tokens, const Routing& routing,
                    cudaStream_t stream);

/// Fills in offsets, pairs and places.
void sort_by_expert(const Routing& routing, int64_t pairs, int experts, cudaStream_t stream);

/// out[place] = gated product of x[token of the pair at place] with its expert: x [tokens, hidden], out [pairs, inner].
void expert_gate_up(const ExpertWeights& weights, const Routing& routing, int experts, int per_token, int64_t pairs,
                    const bf16* x, bf16* out, cudaStream_t stream);

/// out[place] = down x[place]: x [pairs, inner], out [pairs, hidden].
void expert_down(const ExpertWeights& weights, const Routing& routing, int experts, int64_t pairs, const bf16* x,
                 bf16* out, cudaStream_t stream);

/// out[t] += sum_i weights[t, i] * x[place of (t, i)], i ascending.
void combine_experts(const Routing& routing, int per_token, int64_t tokens, int64_t hidden, const bf16* x, float* out,
                     cudaStream_t stream);

}  // namespace vortex::cuda
