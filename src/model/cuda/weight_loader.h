// From a model's files to arrays on the GPU: matrices as bfloat16, vectors as float32.
#pragma once

#include <cuda_bf16.h>

#include <string>
#include <vector>

#include "device/cuda/memory.h"
#include "loader/model_files.h"

namespace vortex::cuda {

using bf16 = __nv_bfloat16;

class WeightLoader {
 public:
  explicit WeightLoader(ModelFiles& files) : files_(files), config_(files.config()), weights_(files.weights()) {}

  const ModelConfig& config() const { return config_; }
  bool contains(const std::string& name) const { return weights_.contains(name); }

  /// All throw Failure with what the weight map says. A matrix [rows, cols], whatever type it is stored in.
  DeviceArray<bf16> matrix(const std::string& name, int64_t rows, int64_t cols);
  /// The same into memory that is there already.
  void matrix_to(const std::string& name, int64_t rows, int64_t cols, bf16* to);
  /// A tensor of any shape as float32 on the host.
  std::vector<float> floats(const std::string& name, const Shape& shape);
  DeviceArray<float> vector(const std::string& name, int64_t n);
  /// What an RMS norm multiplies by: plus 1 in models that store it without.
  DeviceArray<float> norm(const std::string& name, int64_t n);
  /// Several biases, one after the other.
  DeviceArray<float> vectors(const std::vector<std::string>& names, const std::vector<int64_t>& sizes);

  /// Rounds to bfloat16 on the way.
  static void upload(std::span<const float> values, bf16* to);
  /// Every weight must have been taken.
  void finish();
  /// Gives the pages of the file back to the kernel.
  void release_pages() { files_.release_pages(); }

 private:
  TensorView take(const std::string& name, const Shape& shape);

  ModelFiles& files_;
  const ModelConfig& config_;
  WeightMap& weights_;
};

}  // namespace vortex::cuda
