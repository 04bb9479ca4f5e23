// Attention for every shape and type, by plain loops: what the tuned kernels do not take, and what they are tested
// against.
#include <cuda_fp8.h>

#include "attention/cuda/decode_arguments.h"
#include "device/cuda/launch.cuh"
#include "device/cuda/ptx.cuh"

namespace vortex::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

__device__ float number(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ float number(__nv_fp8_e4m3 value) { return static_cast<float>(value); }

/// Tokens of a decode row, by its list.
struct ListedTokens {
  const int32_t* pages;
  int page_tokens;
  __device__ int page(int token) const { return pages[token / page_tokens]; }
};

/// Tokens of a prompt, by its table.
struct TableTokens {
  StepView step;
  int sequence, head, page_tokens;
  __device__ int page(int token) const { return step.page_id(sequence, token / page_tokens, head); }
};

template <class Element, class Tokens>
__device__ const Element* token_row(const FieldPointer& field, int dim, const Tokens& tokens, int token) {
  const unsigned char* page = field.base + int64_t{tokens.page(token)} * field.page_bytes;
  return reinterpret_cast<const Element*>(page) + int64_t{token % tokens.page_tokens} * dim;
}

__device__ float block_reduce(float value, bool want_max, float* scratch) {
  for (int step = 16; step > 0; step >>= 1) {
    const float other = __shfl_xor_sync(~0u, value, step);
    value = want_max ? fmaxf(value, other) : value + other;
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  value = scratch[0];
  for (int w = 1; w < kWarps; ++w) value = want_max ? fmaxf(value, scratch[w]) : value + scratch[w];
  return value;
}

/// One query over tokens [begin, end). Shared memory: head_dim + value_dim floats.
template <class Element, class Tokens>
__device__ void attend(const AttentionLayer& layer, const Tokens& tokens, int begin, int end, const __nv_bfloat16* q,
                       const float* sink, __nv_bfloat16* out) {
  auto* const shared = dynamic_shared<float>();
  __shared__ float scores[kThreads], scratch[kWarps];
  float* query = shared;
  float* sums = shared + layer.head_dim;
  for (int d = threadIdx.x; d < layer.head_dim; d += kThreads) query[d] = number(q[d]) * layer.scale;
  for (int d = threadIdx.x; d < layer.value_dim; d += kThreads) sums[d] = 0.0f;
  __syncthreads();
  const FieldPointer& values = layer.latent ? layer.k : layer.v;
  const int value_stride = layer.latent ? layer.head_dim : layer.value_dim;
  float top = sink != nullptr ? *sink : -INFINITY, total = sink != nullptr ? 1.0f : 0.0f;
  for (int base = begin; base < end; base += kThreads) {
    const int count = min(kThreads, end - base);
    for (int t = threadIdx.x / 32; t < count; t += kWarps) {
      const Element* key = token_row<Element>(layer.k, layer.head_dim, tokens, base + t);
      float dot = 0.0f;
      for (int d = threadIdx.x % 32; d < layer.head_dim; d += 32) dot += query[d] * number(key[d]);
      for (int step = 16; step > 0; step >>= 1) dot += __shfl_xor_sync(~0u, dot, step);
      if (threadIdx.x % 32 == 0) scores[t] = dot;
    }
    __syncthreads();
    const bool mine = static_cast<int>(threadIdx.x) < count;
    const float score = mine ? scores[threadIdx.x] : -INFINITY;
    const float new_top = fmaxf(top, block_reduce(score, true, scratch));
    const float weight = mine ? __expf(score - new_top) : 0.0f, decay = __expf(top - new_top);
    scores[threadIdx.x] = weight;
    total = total * decay + block_reduce(weight, false, scratch);
    top = new_top;
    for (int d = threadIdx.x; d < layer.value_dim; d += kThreads) {
      float sum = sums[d] * decay;
      for (int t = 0; t < count; ++t)
        sum += scores[t] * number(token_row<Element>(values, value_stride, tokens, base + t)[d]);
      sums[d] = sum;
    }
    __syncthreads();
  }
  for (int d = threadIdx.x; d < layer.value_dim; d += kThreads) out[d] = __float2bfloat16(sums[d] / total);
}

template <class Element>
__global__ void __launch_bounds__(kThreads) generic_decode_kernel(DecodeArguments a) {
  const int row = blockIdx.x, sequence = row / a.step.kv_heads, head = row % a.step.kv_heads;
  if (a.step.tokens[sequence] == 0) return;
  const int at = row * a.layer.group + blockIdx.y;
  const int end = (a.list.counts[row] - 1) * a.step.page_tokens + a.step.last_tokens[sequence];
  const ListedTokens tokens{a.list.pages + int64_t{row} * a.list.stride, a.step.page_tokens};
  const float* sink = a.layer.sinks != nullptr ? a.layer.sinks + head * a.layer.group + blockIdx.y : nullptr;
  attend<Element>(a.layer, tokens, a.skip != nullptr ? a.skip[sequence] : 0, end, a.q + int64_t{at} * a.layer.head_dim,
                  sink, a.out + int64_t{at} * a.layer.value_dim);
}

template <class Element>
__global__ void __launch_bounds__(kThreads)
    generic_prefill_kernel(AttentionLayer layer, StepView step, const PrefillSlice* slices, const __nv_bfloat16* q,
                           __nv_bfloat16* out) {
  const PrefillSlice slice = slices[blockIdx.z];
  const int token = blockIdx.x, head = blockIdx.y;
  if (token >= slice.count) return;
  const int end = slice.first + token + 1;
  const int begin = layer.window > 0 ? max(0, end - layer.window) : 0;
  const int64_t at = int64_t{slice.token + token} * gridDim.y + head;
  const TableTokens tokens{step, slice.sequence, head / layer.group, step.page_tokens};
  attend<Element>(layer, tokens, begin, end, q + at * layer.head_dim,
                  layer.sinks != nullptr ? layer.sinks + head : nullptr, out + at * layer.value_dim);
}

int shared_bytes(const AttentionLayer& layer) {
  return (layer.head_dim + layer.value_dim) * static_cast<int>(sizeof(float));
}

}  // namespace

void decode_generic(const DecodeArguments& a, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(a.step.decodes * a.step.kv_heads), static_cast<unsigned>(a.layer.group));
  if (a.layer.kv_dtype == DType::kBF16)
    launch_kernel("generic_decode_kernel", generic_decode_kernel<__nv_bfloat16>,
                  {grid, kThreads, stream, shared_bytes(a.layer)}, a);
  else
    launch_kernel("generic_decode_kernel", generic_decode_kernel<__nv_fp8_e4m3>,
                  {grid, kThreads, stream, shared_bytes(a.layer)}, a);
}

void prefill_generic(const AttentionLayer& layer, const StepView& step, const PrefillSlice* slices, int count,
                     int32_t most_tokens, const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(most_tokens), static_cast<unsigned>(step.kv_heads * layer.group),
                  static_cast<unsigned>(count));
  if (layer.kv_dtype == DType::kBF16)
    launch_kernel("generic_prefill_kernel", generic_prefill_kernel<__nv_bfloat16>,
                  {grid, kThreads, stream, shared_bytes(layer)}, layer, step, slices, q, out);
  else
    launch_kernel("generic_prefill_kernel", generic_prefill_kernel<__nv_fp8_e4m3>,
                  {grid, kThreads, stream, shared_bytes(layer)}, layer, step, slices, q, out);
}

}  // namespace vortex::cuda
