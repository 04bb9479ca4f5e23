#include "kernels/testing/random_weights.h"

#include <cstring>
#include <random>

#include "base/check.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels::testing {
namespace {

using Random = std::mt19937;

float uniform(Random& random, float low, float high) {
  return std::uniform_real_distribution<float>(low, high)(random);
}

template <class Element, class Convert>
void fill_floats(std::vector<std::byte>& bytes, Random& random, Convert convert) {
  for (size_t at = 0; at < bytes.size(); at += sizeof(Element)) {
    const Element element = convert(uniform(random, -0.5f, 0.5f));
    std::memcpy(&bytes[at], &element, sizeof element);
  }
}

/// A scale such that `codes` steps of it stay below about one half.
uint16_t random_scale(Random& random, float codes) { return f32_to_f16(uniform(random, 0.05f, 0.5f) / codes); }

void set_scales(BlockQ8_0& b, Random& random) { b.d = random_scale(random, 128); }
void set_scales(BlockQ4_0& b, Random& random) { b.d = random_scale(random, 8); }
void set_scales(BlockQ5_0& b, Random& random) { b.d = random_scale(random, 16); }
void set_scales(BlockQ6_K& b, Random& random) { b.d = random_scale(random, 128 * 32); }

template <class Block>
void set_scale_and_min(Block& b, Random& random, float codes) {
  b.d = random_scale(random, codes);
  b.m = f32_to_f16(-uniform(random, 0.0f, 0.5f));
}
void set_scales(BlockQ4_1& b, Random& random) { set_scale_and_min(b, random, 16); }
void set_scales(BlockQ5_1& b, Random& random) { set_scale_and_min(b, random, 32); }

template <class Block>
void set_super_scales(Block& b, Random& random, float codes) {
  b.d = random_scale(random, 64 * codes);
  b.dmin = random_scale(random, 64);
}
void set_scales(BlockQ4_K& b, Random& random) { set_super_scales(b, random, 16); }
void set_scales(BlockQ5_K& b, Random& random) { set_super_scales(b, random, 32); }

template <class Block>
void fill_blocks(std::vector<std::byte>& bytes, Random& random) {
  for (std::byte& b : bytes) b = static_cast<std::byte>(random() >> 24);
  for (size_t at = 0; at < bytes.size(); at += sizeof(Block)) {
    Block block;
    std::memcpy(&block, &bytes[at], sizeof block);
    set_scales(block, random);
    std::memcpy(&bytes[at], &block, sizeof block);
  }
}

void fill(DType dtype, std::vector<std::byte>& bytes, Random& random) {
  switch (dtype) {
    case DType::kF32:
      return fill_floats<float>(bytes, random, [](float x) { return x; });
    case DType::kF16:
      return fill_floats<uint16_t>(bytes, random, f32_to_f16);
    case DType::kBF16:
      return fill_floats<uint16_t>(bytes, random, f32_to_bf16);
    case DType::kQ8_0:
      return fill_blocks<BlockQ8_0>(bytes, random);
    case DType::kQ4_0:
      return fill_blocks<BlockQ4_0>(bytes, random);
    case DType::kQ4_1:
      return fill_blocks<BlockQ4_1>(bytes, random);
    case DType::kQ5_0:
      return fill_blocks<BlockQ5_0>(bytes, random);
    case DType::kQ5_1:
      return fill_blocks<BlockQ5_1>(bytes, random);
    case DType::kQ4_K:
      return fill_blocks<BlockQ4_K>(bytes, random);
    case DType::kQ5_K:
      return fill_blocks<BlockQ5_K>(bytes, random);
    case DType::kQ6_K:
      return fill_blocks<BlockQ6_K>(bytes, random);
    default:
      VORTEX_CHECK(false, "{} is not a weight type", dtype_info(dtype).name);
  }
}

}  // namespace

RandomMatrix random_matrix(DType dtype, int64_t rows, int64_t cols, uint32_t seed) {
  RandomMatrix matrix;
  matrix.bytes.resize(static_cast<size_t>(dtype_bytes(dtype, rows * cols)));
  Random random(seed);
  fill(dtype, matrix.bytes, random);
  matrix.view = {matrix.bytes.data(), dtype, Shape{rows, cols}};
  return matrix;
}

std::vector<float> random_activations(int64_t n, uint32_t seed) {
  Random random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(n));
  for (float& value : x) value = normal(random) * (random() % 64 == 0 ? 10.0f : 1.0f);
  return x;
}

}  // namespace vortex::kernels::testing
