// --quantize: the matrices of a model become blocks while its layers are built, one matrix at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/worker_pool.h"
#include "kernels/owned_tensor.h"
#include "tensor/dtype.h"

namespace vortex::model {

/// What the matrices of the layers become, and the threads that do it.
struct Quantization {
  DType type = DType::kQ8_0;  // or kQ4_0
  WorkerPool* pool = nullptr;
};

/// What a matrix is to the model.
enum class MatrixRole : uint8_t {
  kLayer,
  kSecondForm,  // of a layer's matrix that is there already: the summary does not count it
  kHead,        // output head: Q8_0 whatever the layers are (docs/performance.md says what Q4_0 would cost)
};

class WeightQuantizer {
 public:
  explicit WeightQuantizer(const Quantization& quantization) : wanted_(quantization) {}

  /// The weight in blocks; nothing when its rows are no multiple of a block, so that it stays as it is stored.
  /// kConfiguration for a weight that is stored in blocks already, else as kernels::quantized.
  Result<std::optional<kernels::OwnedTensor>> quantized(const TensorView& weight, MatrixRole role);

  /// One line in the log: what became what. `model` is its path.
  void log_summary(const std::string& model) const;

 private:
  struct Tally {
    int64_t matrices = 0;
    int64_t bytes = 0;
    void add(const TensorView& matrix) {
      ++matrices;
      bytes += matrix.bytes();
    }
  };
  DType type_of(MatrixRole role) const;

  Quantization wanted_;
  Tally before_, after_, left_;  // of those that were quantised, and of those left as stored
};

}  // namespace vortex::model
