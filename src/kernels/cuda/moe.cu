#include "device/cuda/launch.cuh"
#include "kernels/cuda/device_math.cuh"
#include "kernels/cuda/moe.h"
#include "kernels/cuda/moe_parts.h"

namespace vortex::cuda {
namespace {

constexpr int kThreads = 256;

template <int Width>
__global__ void combine_kernel(Routing routing, int per_token, int64_t hidden, const bf16* x, float* out) {
  const int64_t token = blockIdx.y;
  const int64_t col = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * Width;
  if (col >= hidden) return;
  auto* slot = reinterpret_cast<Vector<float, Width>*>(out + token * hidden + col);
  Vector<float, Width> sum = *slot;
#pragma unroll 4
  for (int i = 0; i < per_token; ++i) {
    const float weight = routing.weights[token * per_token + i];
    const int64_t place = routing.places[token * per_token + i];
    const auto values = *reinterpret_cast<const Vector<bf16, Width>*>(x + place * hidden + col);
#pragma unroll
    for (int j = 0; j < Width; ++j) sum.at[j] += weight * __bfloat162float(values.at[j]);
  }
  *slot = sum;
}

template <int Width>
void launch_combine(const Routing& routing, int per_token, int64_t tokens, int64_t hidden, const bf16* x, float* out,
                    cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div<int64_t>(hidden, kThreads * Width)), static_cast<unsigned>(tokens));
  launch_kernel("combine_kernel", combine_kernel<Width>, {grid, kThreads, stream}, routing, per_token, hidden, x, out);
}

}  // namespace

void combine_experts(const Routing& routing, int per_token, int64_t tokens, int64_t hidden, const bf16* x, float* out,
                     cudaStream_t stream) {
  if (hidden % 4 == 0 && reinterpret_cast<uintptr_t>(out) % sizeof(float4) == 0)
    launch_combine<4>(routing, per_token, tokens, hidden, x, out, stream);
  else
    launch_combine<1>(routing, per_token, tokens, hidden, x, out, stream);
}

struct MoeScratch::Memory {
  int64_t pairs = 0;
  DeviceArray<float> logits, weights;
  DeviceArray<int32_t> experts, offsets, order, places;
  DeviceArray<bf16> gated, down;

  Routing routing() const { return {experts.data(), weights.data(), offsets.data(), order.data(), places.data()}; }
};

MoeScratch::MoeScratch(int64_t tokens, int experts, int per_token, int64_t hidden, int64_t inner)
    : memory_(std::make_unique<Memory>()) {
  const int64_t pairs = tokens * per_token;
  memory_->pairs = pairs;
  memory_->logits = DeviceArray<float>(tokens * experts);
  memory_->weights = DeviceArray<float>(pairs);
  memory_->experts = DeviceArray<int32_t>(pairs);
  memory_->offsets = DeviceArray<int32_t>(experts + 1);
  memory_->order = DeviceArray<int32_t>(pairs);
  memory_->places = DeviceArray<int32_t>(pairs);
  memory_->gated = DeviceArray<bf16>(pairs * inner);
  memory_->down = DeviceArray<bf16>(pairs * hidden);
}

MoeScratch::~MoeScratch() = default;

void MoeScratch::run(const RouterShape& shape, const float* router, const ExpertWeights& experts, const bf16* x,
                     const float* x_float, int64_t tokens, float* out, cudaStream_t stream) {
  const int64_t pairs = tokens * shape.per_token;
  if (pairs == 0) return;
  if (pairs > memory_->pairs) fail("moe", "more tokens than there is memory for");
  const Routing routing = memory_->routing();
  bf16* gated = memory_->gated.data();
  bf16* down = memory_->down.data();
  router_logits(router, x_float, shape.logit_bias, tokens, shape.experts, experts.hidden, memory_->logits.data(),
                stream);
  choose_experts(shape, memory_->logits.data(), tokens, routing, stream);
  sort_by_expert(routing, pairs, shape.experts, stream);
  expert_gate_up(experts, routing, shape.experts, shape.per_token, pairs, x, gated, stream);
  expert_down(experts, routing, shape.experts, pairs, gated, down, stream);
  combine_experts(routing, shape.per_token, tokens, experts.hidden, down, out, stream);
}

}  // namespace vortex::cuda
