#include "model/cuda/weight_loader.h"

#include <algorithm>

#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::cuda {
namespace {

constexpr int64_t kPart = 16 << 20;  // elements converted at once

}  // namespace

TensorView WeightLoader::take(const std::string& name, const Shape& shape) {
  auto view = weights_.take(name, shape);
  if (!view.ok()) throw Failure(view.error());
  return *view;
}

DeviceArray<bf16> WeightLoader::matrix(const std::string& name, int64_t rows, int64_t cols) {
  DeviceArray<bf16> out(rows * cols);
  matrix_to(name, rows, cols, out.data());
  return out;
}

void WeightLoader::matrix_to(const std::string& name, int64_t rows, int64_t cols, bf16* to) {
  const TensorView view = take(name, Shape{rows, cols});
  if (view.dtype == DType::kBF16) {
    VORTEX_CUDA_CHECK(
        cudaMemcpy(to, view.data, static_cast<size_t>(rows * cols) * sizeof(bf16), cudaMemcpyHostToDevice));
  } else {
    const int64_t part = std::max<int64_t>(kPart / cols, 1);
    std::vector<float> values;
    for (int64_t row = 0; row < rows; row += part) {
      const int64_t count = std::min(part, rows - row) * cols;
      values.resize(static_cast<size_t>(count));
      dequantize(view.dtype, view.data + row * dtype_bytes(view.dtype, cols), values.data(), count);
      upload(values, to + row * cols);
    }
  }
  weights_.release(name);
}

std::vector<float> WeightLoader::floats(const std::string& name, const Shape& shape) {
  const TensorView view = take(name, shape);
  std::vector<float> out(static_cast<size_t>(view.shape.elements()));
  dequantize(view.dtype, view.data, out.data(), view.shape.elements());
  weights_.release(name);
  return out;
}

DeviceArray<float> WeightLoader::vector(const std::string& name, int64_t n) {
  return to_device<float>(floats(name, Shape{n}));
}

DeviceArray<float> WeightLoader::norm(const std::string& name, int64_t n) {
  std::vector<float> values = floats(name, Shape{n});
  if (config_.norm_plus_one)
    for (float& value : values) value += 1.0f;
  return to_device<float>(values);
}

DeviceArray<float> WeightLoader::vectors(const std::vector<std::string>& names, const std::vector<int64_t>& sizes) {
  std::vector<float> all;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::vector<float> part = floats(names[i], Shape{sizes[i]});
    all.insert(all.end(), part.begin(), part.end());
  }
  return to_device<float>(all);
}

void WeightLoader::upload(std::span<const float> values, bf16* to) {
  std::vector<uint16_t> rounded(values.size());
  std::ranges::transform(values, rounded.begin(), [](float value) { return f32_to_bf16(value); });
  VORTEX_CUDA_CHECK(cudaMemcpy(to, rounded.data(), rounded.size() * sizeof(bf16), cudaMemcpyHostToDevice));
}

void WeightLoader::finish() {
  if (const Status status = weights_.finish(); !status.ok()) throw Failure(status.error());
}

}  // namespace vortex::cuda
