// Norms of rows: a block a row, which stays in registers between its two passes.
#include "device/cuda/launch.cuh"
#include "kernels/cuda/dense.h"
#include "kernels/cuda/device_math.cuh"

namespace vortex::cuda {
namespace {

constexpr int kMaxThreads = 512;

struct Norm {
  const float* x;
  int64_t x_stride;
  const int32_t* picks;  // null: row r is row r of x
  const float* weight;
  float eps;
  int64_t cols;
};

/// Writes the normed row as bf16.
struct Store {
  bf16* out;
  int64_t stride;
  template <int Width>
  __device__ void put(int64_t row, int64_t col, const Vector<float, Width>& value) const {
    Vector<bf16, Width> rounded;
#pragma unroll
    for (int i = 0; i < Width; ++i) rounded.at[i] = __float2bfloat16(value.at[i]);
    *reinterpret_cast<Vector<bf16, Width>*>(out + row * stride + col) = rounded;
  }
};

/// Adds the normed row to a residual stream.
struct Add {
  float* hidden;
  int64_t stride;
  template <int Width>
  __device__ void put(int64_t row, int64_t col, const Vector<float, Width>& value) const {
    auto* slot = reinterpret_cast<Vector<float, Width>*>(hidden + row * stride + col);
    Vector<float, Width> sum = *slot;
#pragma unroll
    for (int i = 0; i < Width; ++i) sum.at[i] += value.at[i];
    *slot = sum;
  }
};

/// Rows of at most blockDim.x * Items vectors of Width.
template <int Width, int Items, class Sink>
__global__ void norm_kernel(Norm norm, Sink sink) {
  using Floats = Vector<float, Width>;
  __shared__ float shared[kMaxThreads / kWarp];
  const int64_t row = blockIdx.x;
  const float* x = norm.x + (norm.picks != nullptr ? norm.picks[row] : row) * norm.x_stride;
  Floats values[Items];
  float sum = 0.0f;
#pragma unroll
  for (int item = 0; item < Items; ++item) {
    const int64_t col = (int64_t{item} * blockDim.x + threadIdx.x) * Width;
    if (col >= norm.cols) break;
    values[item] = *reinterpret_cast<const Floats*>(x + col);
#pragma unroll
    for (int i = 0; i < Width; ++i) sum += values[item].at[i] * values[item].at[i];
  }
  const float scale = rsqrtf(block_sum(sum, shared) / static_cast<float>(norm.cols) + norm.eps);
#pragma unroll
  for (int item = 0; item < Items; ++item) {
    const int64_t col = (int64_t{item} * blockDim.x + threadIdx.x) * Width;
    if (col >= norm.cols) break;
    const Floats weight = *reinterpret_cast<const Floats*>(norm.weight + col);
#pragma unroll
    for (int i = 0; i < Width; ++i) values[item].at[i] *= scale * weight.at[i];
    sink.template put<Width>(row, col, values[item]);
  }
}

template <int Width, class Sink>
void launch_width(const Norm& norm, const Sink& sink, int64_t rows, cudaStream_t stream) {
  const int64_t vectors = ceil_div<int64_t>(norm.cols, Width);
  const auto threads = static_cast<int>(std::min<int64_t>(kMaxThreads, ceil_div<int64_t>(vectors, kWarp) * kWarp));
  const int64_t items = ceil_div<int64_t>(vectors, threads);
  const auto grid = static_cast<unsigned>(rows);
  if (items <= 1)
    launch_kernel("norm_kernel", norm_kernel<Width, 1, Sink>, {grid, threads, stream}, norm, sink);
  else if (items <= 2)
    launch_kernel("norm_kernel", norm_kernel<Width, 2, Sink>, {grid, threads, stream}, norm, sink);
  else if (items <= 4)
    launch_kernel("norm_kernel", norm_kernel<Width, 4, Sink>, {grid, threads, stream}, norm, sink);
  else if (items <= 16)
    launch_kernel("norm_kernel", norm_kernel<Width, 16, Sink>, {grid, threads, stream}, norm, sink);
  else
    fail("rms_norm", "rows are too long");
}

template <class Sink>
void launch(const Norm& norm, const Sink& sink, const void* out, int64_t rows, cudaStream_t stream) {
  if (rows == 0) return;
  const auto pointers =
      reinterpret_cast<uintptr_t>(norm.x) | reinterpret_cast<uintptr_t>(norm.weight) | reinterpret_cast<uintptr_t>(out);
  const int64_t strides = norm.cols | norm.x_stride | sink.stride;
  if (pointers % sizeof(float4) == 0 && strides % 4 == 0)
    launch_width<4>(norm, sink, rows, stream);
  else
    launch_width<1>(norm, sink, rows, stream);
}

}  // namespace

void rms_norm(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols, bf16* out,
              int64_t out_stride, cudaStream_t stream) {
  launch(Norm{x, x_stride, nullptr, weight, eps, cols}, Store{out, out_stride}, out, rows, stream);
}

void add_rms_norm(const float* x, const float* weight, float eps, int64_t rows, int64_t cols, float* hidden,
                  cudaStream_t stream) {
  launch(Norm{x, cols, nullptr, weight, eps, cols}, Add{hidden, cols}, hidden, rows, stream);
}

void rms_norm_rows(const float* x, const int32_t* picks, const float* weight, float eps, int64_t rows, int64_t cols,
                   bf16* out, cudaStream_t stream) {
  launch(Norm{x, cols, picks, weight, eps, cols}, Store{out, cols}, out, rows, stream);
}

}  // namespace vortex::cuda
