// What the kernels of a flow are called with. Host-free: the sources compiled at run time hold it too.
#pragma once

#include "device/cuda/step_views.h"

namespace vortex::flow_code {

constexpr int kFieldLimit = 64;

/// All pointers are in device memory; what a kernel does not use is null.
struct Args {
  cuda::StepView step;
  cuda::TokenView tokens;                      // update alone
  cuda::ListView list;                         // filled by the choice
  const uint16_t* query = nullptr;             // [rows, group, head_dim] bf16
  unsigned char* const* states = nullptr;      // [decodes]
  int32_t* nan_sequences = nullptr;            // [decodes]
  const uint16_t* const* weights = nullptr;    // [layers, projects] bf16; null entries: the identity
  float* page_scratch = nullptr;               // values of pages between kernels
  float* row_scratch = nullptr;                // values of rows
  float* team_scratch = nullptr;               // workspace of warps and blocks where shared memory is too small
  unsigned long long* sort_scratch = nullptr;  // [rows, power of two that holds all pages]
  unsigned char* fields[kFieldLimit] = {};     // of this layer
  int32_t layer = 0;
};

}  // namespace vortex::flow_code
