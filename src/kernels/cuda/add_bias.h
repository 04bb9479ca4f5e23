// The bias of a product: cublasLt takes none of float32 for outputs of bfloat16.
#pragma once

#include "kernels/cuda/gemm.h"

namespace vortex::cuda {

/// y[t, r] += bias[r] for every problem of `call`, whose leading dimensions are set.
void add_bias(const GemmCall& call, cudaStream_t stream);

}  // namespace vortex::cuda
