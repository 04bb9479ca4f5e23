// Matrices of one name for the layers of a model, from a safetensors file: the weights of learned flows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace vortex {

/// What is asked of the file.
struct LayerMatrixShape {
  int layers = 0;
  int64_t rows = 0;
  int64_t cols = 0;
};

/// By layer the matrix [rows, cols] in bfloat16, row after row; empty for a layer that the file does not have. The file
/// holds one tensor `name` [layers, rows, cols], or a tensor `name.N` [rows, cols] for each layer N that it has, in
/// float32, float16 or bfloat16; other tensors are left alone. Errors (kConfiguration) name the file and both shapes:
/// no such tensor, another shape, a layer the model does not have, metadata "per_layer": "false" (one matrix for all).
Result<std::vector<std::vector<uint16_t>>> read_layer_matrices(const std::string& path, const std::string& name,
                                                               const LayerMatrixShape& shape);

}  // namespace vortex
