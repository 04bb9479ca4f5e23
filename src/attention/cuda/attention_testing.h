// A small paged cache on the host and its copy on the device, for tests of attention on the GPU, and what attention
// over it should be by plain loops in double.
#pragma once

#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "attention/cuda/attention.h"
#include "tensor/float8.h"
#include "tensor/half.h"
#include "tensor/paged.h"

namespace vortex::cuda::testing {

struct Shape {
  int head_dim = 128, value_dim = 128, kv_heads = 2, group = 2, page_tokens = 16;
  bool latent = false;
  int pages_per_slab = 2;
  std::vector<int32_t> lengths;  // of sequences; 0: padding
  int window = 0;
  int selected = 0;  // pages of sparse rows; 0: no selected list
  bool sinks = false;
  DType dtype = DType::kBF16;
  int max_pages() const {
    int32_t longest = 1;
    for (const int32_t length : lengths) longest = std::max(longest, length);
    return (longest + page_tokens - 1) / page_tokens;
  }
};

inline std::vector<float> noise(int64_t size, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(static_cast<size_t>(size));
  for (float& x : out) x = normal(generator);
  return out;
}

inline std::vector<__nv_bfloat16> to_bf16(std::span<const float> values) {
  std::vector<__nv_bfloat16> out;
  for (const float x : values) out.push_back(__float2bfloat16(x));
  return out;
}

/// Noise as a field stores it, and the numbers that it stands for. Pages are never all in use: what lies beyond a
/// sequence is NaN.
class HostField {
 public:
  HostField(const Shape& shape, int dim, int pages, unsigned seed)
      : dim_(dim), values_(noise(int64_t{pages} * shape.page_tokens * dim, seed)) {
    page_values_ = shape.page_tokens * dim;
    const bool narrow = shape.dtype == DType::kF8E4M3;
    for (float& x : values_) {
      if (narrow) {
        const uint8_t code = f32_to_f8e4m3(x);
        bytes_.push_back(code);
        x = f8e4m3_to_f32(code);
      } else {
        const uint16_t bits = f32_to_bf16(x);
        bytes_.push_back(static_cast<uint8_t>(bits));
        bytes_.push_back(static_cast<uint8_t>(bits >> 8));
        x = bf16_to_f32(bits);
      }
    }
    page_bytes_ = page_values_ * (narrow ? 1 : 2);
  }
  const float* row(PageId page, int token) const {
    return values_.data() + int64_t{page} * page_values_ + token * dim_;
  }
  /// Sets a token's bytes to NaN on the device: nobody may let it into a sum.
  void poison(PageId page, int token) {
    const int64_t width = page_bytes_ / page_values_;
    for (int64_t i = 0; i < dim_ * width; ++i)
      bytes_[static_cast<size_t>(page * page_bytes_ + token * dim_ * width + i)] =
          width == 2 && i % 2 == 0 ? 0xC0 : 0x7F;
  }
  void upload() { device_ = to_device(std::span<const uint8_t>(bytes_)); }
  FieldPointer pointer() const { return {device_.data(), page_bytes_}; }

 private:
  int dim_;
  std::vector<float> values_;
  std::vector<uint8_t> bytes_;
  int64_t page_values_ = 0, page_bytes_ = 0;
  DeviceArray<uint8_t> device_;
};

struct Place {
  PageId page;
  int token;
};

class Cache {
 public:
  explicit Cache(const Shape& s)
      : shape(s),
        slabs_a_row((s.max_pages() + s.pages_per_slab - 1) / s.pages_per_slab),
        pages(static_cast<int>(s.lengths.size()) * slabs_a_row * s.pages_per_slab * s.kv_heads),
        k(s, s.head_dim, pages, 1),
        v(s, s.value_dim, pages, 2),
        sinks(noise(s.kv_heads * s.group, 3)) {
    tables.resize(s.lengths.size() * static_cast<size_t>(slabs_a_row));
    std::iota(tables.begin(), tables.end(), 0);
    std::shuffle(tables.begin(), tables.end(), std::mt19937(4));
    poison_ends();
    k.upload();
    v.upload();
    device_tables = to_device(std::span<const int32_t>(tables));
    device_sinks = to_device(std::span<const float>(sinks));
  }

  PageId page_id(int sequence, int page, int head) const {
    const int slab = tables[static_cast<size_t>(sequence * slabs_a_row + page / shape.pages_per_slab)];
    return (slab * shape.kv_heads + head) * shape.pages_per_slab + page % shape.pages_per_slab;
  }

  /// Where tokens [begin, end) of a row lie.
  std::vector<Place> places(int sequence, int head, int begin, int end) const {
    std::vector<Place> out;
    for (int t = begin; t < end; ++t)
      out.push_back({page_id(sequence, t / shape.page_tokens, head), t % shape.page_tokens});
    return out;
  }

  AttentionLayer layer() const {
    return {.k = k.pointer(),
            .v = v.pointer(),
            .kv_dtype = shape.dtype,
            .head_dim = shape.head_dim,
            .value_dim = shape.value_dim,
            .latent = shape.latent,
            .group = shape.group,
            .scale = scale(),
            .window = shape.window,
            .sinks = shape.sinks ? device_sinks.data() : nullptr};
  }
  float scale() const { return 1.5f / std::sqrt(static_cast<float>(shape.head_dim)); }

  /// Attention of query head `head` of the model over `tokens`.
  std::vector<double> expected(const std::vector<Place>& tokens, int head, const __nv_bfloat16* q) const {
    std::vector<double> weights, out(static_cast<size_t>(shape.value_dim));
    double top = shape.sinks ? sinks[static_cast<size_t>(head)] : -1e300;
    for (const Place at : tokens) {
      double dot = 0.0;
      for (int d = 0; d < shape.head_dim; ++d) dot += double{__bfloat162float(q[d])} * k.row(at.page, at.token)[d];
      weights.push_back(dot * scale());
      top = std::max(top, weights.back());
    }
    double total = shape.sinks ? std::exp(sinks[static_cast<size_t>(head)] - top) : 0.0;
    for (double& w : weights) total += w = std::exp(w - top);
    for (size_t i = 0; i < tokens.size(); ++i) {
      const float* value = (shape.latent ? k : v).row(tokens[i].page, tokens[i].token);
      for (int d = 0; d < shape.value_dim; ++d) out[static_cast<size_t>(d)] += weights[i] / total * value[d];
    }
    return out;
  }

  Shape shape;
  int slabs_a_row, pages;
  HostField k, v;
  std::vector<float> sinks;
  std::vector<int32_t> tables;
  DeviceArray<int32_t> device_tables;
  DeviceArray<float> device_sinks;

 private:
  void poison_ends() {
    for (size_t s = 0; s < shape.lengths.size(); ++s)
      for (int head = 0; head < shape.kv_heads; ++head)
        for (const Place at : places(static_cast<int>(s), head, shape.lengths[s],
                                     slabs_a_row * shape.pages_per_slab * shape.page_tokens)) {
          k.poison(at.page, at.token);
          v.poison(at.page, at.token);
        }
  }
};

/// |got - wanted| over |wanted|, both as vectors.
inline double relative_error(const __nv_bfloat16* got, const std::vector<double>& wanted) {
  double difference = 0.0, size = 0.0;
  for (size_t d = 0; d < wanted.size(); ++d) {
    const double x = double{__bfloat162float(got[d])} - wanted[d];
    difference += x * x;
    size += wanted[d] * wanted[d];
  }
  return std::sqrt(difference / size);
}

template <class T>
std::vector<T> to_host(const T* data, int64_t size) {
  std::vector<T> out(static_cast<size_t>(size));
  VORTEX_CUDA_CHECK(cudaMemcpy(out.data(), data, out.size() * sizeof(T), cudaMemcpyDeviceToHost));
  return out;
}

inline bool no_device() {
  int count = 0;
  return cudaGetDeviceCount(&count) != cudaSuccess || count == 0;
}

}  // namespace vortex::cuda::testing
