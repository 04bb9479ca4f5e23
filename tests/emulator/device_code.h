// Comes before every source of kernels: the types of CUDA's own headers, which compile on the host, then the words of
// device code.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <algorithm>
#include <limits>

#include "intrinsics.h"

#define __CUDACC__
