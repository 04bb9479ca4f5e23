#include "device/cuda/launch.cuh"
#include "kernels/cuda/add_bias.h"

namespace vortex::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void add_bias_kernel(T* y, int64_t ld, int64_t step, const float* bias, int64_t rows) {
  const int64_t row = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (row >= rows) return;
  T* value = y + blockIdx.z * step + blockIdx.y * ld + row;
  *value = static_cast<T>(static_cast<float>(*value) + bias[row]);
}

template <class T>
void launch(const GemmCall& call, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((call.rows + kThreads - 1) / kThreads), static_cast<unsigned>(call.tokens),
                  static_cast<unsigned>(call.batch));
  launch_kernel("add_bias_kernel", add_bias_kernel<T>, {grid, kThreads, stream}, static_cast<T*>(call.y), call.y_ld,
                call.y_step, call.bias, call.rows);
}

}  // namespace

void add_bias(const GemmCall& call, cudaStream_t stream) {
  if (call.y_float)
    launch<float>(call, stream);
  else
    launch<__nv_bfloat16>(call, stream);
}

}  // namespace vortex::cuda
