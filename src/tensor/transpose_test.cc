#include "tensor/transpose.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex {
namespace {

float element(const TensorView& matrix, int64_t row, int64_t col) {
  std::vector<float> values(static_cast<size_t>(matrix.cols()));
  dequantize(matrix.dtype, matrix.data + row * dtype_bytes(matrix.dtype, matrix.cols()), values.data(), matrix.cols());
  return values[static_cast<size_t>(col)];
}

TEST(Transpose, KeepsFloatsAsTheyAre) {
  const std::vector<float> values = {1.0f, 2.5f, -3.0f, 0.1f, 1e-20f, 7.0f};
  const TensorView matrix{reinterpret_cast<const std::byte*>(values.data()), DType::kF32, Shape{2, 3}};
  const OwnedTensor made = transpose(matrix);
  EXPECT_EQ(made.view.shape, (Shape{3, 2}));
  EXPECT_EQ(made.view.dtype, DType::kF32);
  for (int64_t r = 0; r < 2; ++r)
    for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(element(made.view, c, r), values[static_cast<size_t>(r * 3 + c)]);
}

TEST(Transpose, KeepsBfloat16AsItIs) {
  const std::vector<uint16_t> bits = {f32_to_bf16(1.5f), f32_to_bf16(-2.25f), f32_to_bf16(1e30f), f32_to_bf16(0.0f)};
  const OwnedTensor made = transpose({reinterpret_cast<const std::byte*>(bits.data()), DType::kBF16, Shape{2, 2}});
  const uint16_t expected[] = {bits[0], bits[2], bits[1], bits[3]};
  EXPECT_EQ(made.view.dtype, DType::kBF16);
  EXPECT_EQ(std::memcmp(made.view.data, expected, sizeof expected), 0);
}

TEST(Transpose, QuantisedBlocksBecomeFloat16) {
  std::vector<BlockQ8_0> blocks(4);  // [2, 64]
  for (size_t b = 0; b < blocks.size(); ++b) {
    blocks[b].d = f32_to_f16(0.013f * static_cast<float>(b + 1));
    for (int i = 0; i < 32; ++i) blocks[b].qs[i] = static_cast<int8_t>(i * 8 - 127);
  }
  const TensorView matrix{reinterpret_cast<const std::byte*>(blocks.data()), DType::kQ8_0, Shape{2, 64}};
  const OwnedTensor made = transpose(matrix);
  EXPECT_EQ(made.view.dtype, DType::kF16);
  for (int64_t r = 0; r < 2; ++r)
    for (int64_t c = 0; c < 64; ++c) {
      const float want = element(matrix, r, c);
      EXPECT_NEAR(element(made.view, c, r), want, std::abs(want) * 0x1p-11f);
    }
}

}  // namespace
}  // namespace vortex
