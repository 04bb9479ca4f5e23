// Router of a mixture of experts: blocks multiply tiles of tokens and experts, then a warp chooses for a token.
#include <limits>

#include "device/cuda/launch.cuh"
#include "device/cuda/ptx.cuh"
#include "kernels/cuda/device_math.cuh"
#include "kernels/cuda/moe_parts.h"

namespace vortex::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kTokens = 8, kExperts = 4;  // of a block's tile: its warps share the columns
constexpr int kMaxExperts = 512, kMaxPerToken = 32;
constexpr int kChoosers = 4;  // warps of a block
constexpr float kLowest = std::numeric_limits<float>::lowest();
constexpr float kTaken = -std::numeric_limits<float>::infinity();

struct Logits {
  const float* router;
  const float* x;
  const float* bias;
  int64_t tokens;
  int experts;
  int64_t hidden;
  float* out;
};

template <int Width>
__device__ void add_products(const Logits& in, int64_t first_token, int first_expert,
                             float (&sums)[kTokens][kExperts]) {
  using Floats = Vector<float, Width>;
  for (int64_t col = threadIdx.x * Width; col < in.hidden; col += kWarps * kWarp * Width) {
    Floats x[kTokens], w[kExperts];
#pragma unroll
    for (int t = 0; t < kTokens; ++t)
      x[t] = *reinterpret_cast<const Floats*>(in.x + min(first_token + t, in.tokens - 1) * in.hidden + col);
#pragma unroll
    for (int e = 0; e < kExperts; ++e)
      w[e] = *reinterpret_cast<const Floats*>(in.router + min(first_expert + e, in.experts - 1) * in.hidden + col);
#pragma unroll
    for (int t = 0; t < kTokens; ++t)
#pragma unroll
      for (int e = 0; e < kExperts; ++e)
#pragma unroll
        for (int i = 0; i < Width; ++i) sums[t][e] += x[t].at[i] * w[e].at[i];
  }
}

template <int Width>
__global__ void logits_kernel(Logits in) {
  __shared__ float parts[kWarps][kTokens * kExperts];
  const int64_t first_token = int64_t{blockIdx.y} * kTokens;
  const int first_expert = static_cast<int>(blockIdx.x) * kExperts;
  float sums[kTokens][kExperts] = {};
  add_products<Width>(in, first_token, first_expert, sums);
#pragma unroll
  for (int i = 0; i < kTokens * kExperts; ++i) {
    const float sum = warp_sum(sums[i / kExperts][i % kExperts]);
    if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp][i] = sum;
  }
  __syncthreads();
  const int64_t token = first_token + threadIdx.x / kExperts;
  const int expert = first_expert + static_cast<int>(threadIdx.x) % kExperts;
  if (threadIdx.x >= kTokens * kExperts || token >= in.tokens || expert >= in.experts) return;
  float sum = in.bias != nullptr ? in.bias[expert] : 0.0f;
  for (int warp = 0; warp < kWarps; ++warp) sum += parts[warp][threadIdx.x];
  in.out[token * in.experts + expert] = sum;
}

/// What a warp knows of its token, in shared memory.
struct Token {
  float score[kMaxExperts], choice[kMaxExperts], group[kMaxExperts];
  int32_t taken[kMaxPerToken];
  bool group_taken[kMaxExperts];
};

__device__ float warp_max(float value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  return value;
}

/// The index of the largest value, the lowest of equal ones; marks it as taken.
__device__ int take_best(float* values, int count) {
  const int lane = threadIdx.x % kWarp;
  float best = kTaken;
  int index = count;
  for (int i = lane; i < count; i += kWarp)
    if (values[i] > best) best = values[i], index = i;
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, best, offset);
    const int other_index = __shfl_xor_sync(kAllLanes, index, offset);
    if (other > best || (other == best && other_index < index)) best = other, index = other_index;
  }
  if (lane == 0) values[index] = kTaken;
  __syncwarp();
  return index;
}

__device__ void score_experts(const RouterShape& shape, const float* logits, Token* token) {
  const int lane = threadIdx.x % kWarp;
  float largest = kTaken, sum = 0.0f;
  for (int e = lane; e < shape.experts; e += kWarp) largest = fmaxf(largest, logits[e]);
  largest = warp_max(largest);
  for (int e = lane; e < shape.experts; e += kWarp) {
    float score = logits[e];
    if (shape.scoring == RouterShape::Scoring::kSoftmax) sum += score = expf(score - largest);
    if (shape.scoring == RouterShape::Scoring::kSigmoid) score = 1.0f / (1.0f + expf(-score));
    token->score[e] = score;
  }
  sum = warp_sum(sum);
  for (int e = lane; e < shape.experts; e += kWarp) {
    if (shape.scoring == RouterShape::Scoring::kSoftmax) token->score[e] /= sum;
    // A NaN is nobody's choice, but per_token experts are found all the same.
    token->choice[e] =
        fmaxf(kLowest, token->score[e] + (shape.selection_bias != nullptr ? shape.selection_bias[e] : 0.0f));
  }
  __syncwarp();
}

__device__ float group_score(const RouterShape& shape, const float* choice, int size) {
  float best = kLowest, second = kLowest;
  for (int i = 0; i < size; ++i) {
    second = fmaxf(second, fminf(best, choice[i]));
    best = fmaxf(best, choice[i]);
  }
  return fmaxf(kLowest, shape.group_score == RouterShape::GroupScore::kTop2Sum ? best + second : best);
}

__device__ void exclude_groups(const RouterShape& shape, Token* token) {
  const int lane = threadIdx.x % kWarp, size = shape.experts / shape.groups;
  for (int g = lane; g < shape.groups; g += kWarp) {
    token->group[g] = group_score(shape, token->choice + g * size, size);
    token->group_taken[g] = false;
  }
  __syncwarp();
  for (int i = 0; i < shape.top_groups; ++i) {
    const int best = take_best(token->group, shape.groups);
    if (lane == 0) token->group_taken[best] = true;
  }
  __syncwarp();
  for (int e = lane; e < shape.experts; e += kWarp)
    if (!token->group_taken[e / size]) token->choice[e] = kTaken;
  __syncwarp();
}

/// The weight of each lane's expert; lanes past per_token have none.
__device__ float weigh(const RouterShape& shape, const float* logits, const Token& token, int32_t expert, bool chosen) {
  float weight = 0.0f;
  if (shape.scoring == RouterShape::Scoring::kTopKSoftmax) {
    const float logit = chosen ? logits[expert] : kTaken;
    weight = expf(logit - warp_max(logit));
    weight /= warp_sum(weight);
  } else if (chosen) {
    weight = token.score[expert];
  }
  const float sum = warp_sum(weight) + shape.normalize_epsilon;
  return (shape.normalize ? weight / sum : weight) * shape.routed_scale;
}

__global__ void choose_kernel(RouterShape shape, const float* all_logits, int64_t tokens, Routing routing) {
  auto* const memory = dynamic_shared<unsigned char>();
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t t = int64_t{blockIdx.x} * kChoosers + warp;
  if (t >= tokens) return;
  Token& token = reinterpret_cast<Token*>(memory)[warp];
  const float* logits = all_logits + t * shape.experts;
  score_experts(shape, logits, &token);
  if (shape.top_groups < shape.groups) exclude_groups(shape, &token);
  for (int i = 0; i < shape.per_token; ++i) {
    const int best = take_best(token.choice, shape.experts);
    if (lane == 0) token.taken[i] = best;
  }
  __syncwarp();
  const bool chosen = lane < shape.per_token;
  const int32_t expert = chosen ? token.taken[lane] : 0;
  const float weight = weigh(shape, logits, token, expert, chosen);
  if (!chosen) return;
  int rank = 0;
  for (int i = 0; i < shape.per_token; ++i) rank += token.taken[i] < expert;
  routing.experts[t * shape.per_token + rank] = expert;
  routing.weights[t * shape.per_token + rank] = weight;
}

}  // namespace

void router_logits(const float* router, const float* x, const float* bias, int64_t tokens, int experts, int64_t hidden,
                   float* logits, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(experts, kExperts)),
                  static_cast<unsigned>(ceil_div<int64_t>(tokens, kTokens)));
  const Logits in{router, x, bias, tokens, experts, hidden, logits};
  const auto pointers = reinterpret_cast<uintptr_t>(router) | reinterpret_cast<uintptr_t>(x);
  if (hidden % 4 == 0 && pointers % sizeof(float4) == 0)
    launch_kernel("logits_kernel", logits_kernel<4>, {grid, kWarps * kWarp, stream}, in);
  else
    launch_kernel("logits_kernel", logits_kernel<1>, {grid, kWarps * kWarp, stream}, in);
}

void choose_experts(const RouterShape& shape, const float* logits, int64_t tokens, const Routing& routing,
                    cudaStream_t stream) {
  if (shape.experts > kMaxExperts || shape.per_token > kMaxPerToken) fail("moe", "too many experts");
  const auto blocks = static_cast<unsigned>(ceil_div<int64_t>(tokens, kChoosers));
  launch_kernel("choose_kernel", choose_kernel, {blocks, kChoosers * kWarp, stream, kChoosers * sizeof(Token)}, shape,
                logits, tokens, routing);
}

}  // namespace vortex::cuda
